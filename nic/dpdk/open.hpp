// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "nic/dpdk/plan.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::dpdk {

class DpdkPort;

/// How many queues `open_port` would serve; starts EAL for that, and makes the device known. Fails
/// where the device has not as many as are asked for. Set-up thread.
Result<std::uint32_t> queues_to_serve(const DpdkConfig& config,
                                      const std::vector<std::string>& eal_arguments);

/// Opens a port of DPDK's, starting EAL with `eal_arguments` if this process has not yet. The
/// engine owns the interface: no kernel sees what arrives there. `memory` outlives the port, and
/// is registered and mapped for DMA whole. Set-up thread.
Result<std::unique_ptr<Port>> open_port(const DpdkConfig& config,
                                        const std::vector<std::string>& eal_arguments,
                                        const DmaMemory& memory);

/// The same, for who includes DPDK's headers and wants more than a Port.
Result<std::unique_ptr<DpdkPort>> open_dpdk_port(const DpdkConfig& config,
                                                 const std::vector<std::string>& eal_arguments,
                                                 const DmaMemory& memory);

}  // namespace strictsend::nic::dpdk
