// SPDX-License-Identifier: Apache-2.0
#pragma once

// The error vocabulary is part of the installed API, so its one definition stands there. This is
// the only include from below into engine/include, and that header includes nothing of ours.
#include <strictsend/result.hpp>
