// SPDX-License-Identifier: Apache-2.0
// A client whose TCP is not Linux's: lwIP's, on a tap interface that exists already. Gets one file
// and writes its body to standard output.
//
//     lwip_client TAP OWN-ADDRESS NETMASK SERVER NAME
//
// Exit status 0: as many bytes came as the server said.
//
// The driver is our own: Debian's build of lwIP makes the pool of packets, which lwIP's tapif takes
// them from, of 592 bytes each, and writes beyond them.
#define _GNU_SOURCE  // SSIZE_MAX, by which lwIP knows that there is a ssize_t
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/tcpip.h>

static const int receive_timeout_s = 20;

enum { mtu_bytes = 1500, frame_bytes_max = mtu_bytes + 14 };

struct setup {
  const char* tap;
  const char* address;
  const char* netmask;
  int tap_fd;
  struct netif netif;
  sys_sem_t done;
};

static void fail(const char* what) {
  fprintf(stderr, "lwip_client: %s\n", what);
  exit(1);
}

static err_t transmit(struct netif* netif, struct pbuf* packet) {
  const struct setup* setup = netif->state;
  char frame[frame_bytes_max];
  if (packet->tot_len > sizeof frame) return ERR_IF;
  const u16_t bytes = pbuf_copy_partial(packet, frame, packet->tot_len, 0);
  return write(setup->tap_fd, frame, bytes) == bytes ? ERR_OK : ERR_IF;
}

static void receive(void* argument) {
  struct setup* setup = argument;
  char frame[frame_bytes_max];
  for (;;) {
    const ssize_t bytes = read(setup->tap_fd, frame, sizeof frame);
    if (bytes <= 0) fail("the tap is gone");
    struct pbuf* packet = pbuf_alloc(PBUF_RAW, (u16_t)bytes, PBUF_RAM);
    if (packet == NULL) fail("no memory");
    pbuf_take(packet, frame, (u16_t)bytes);
    if (setup->netif.input(packet, &setup->netif) != ERR_OK) pbuf_free(packet);
  }
}

static err_t attach(struct netif* netif) {
  struct setup* setup = netif->state;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, setup->tap, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  setup->tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (setup->tap_fd < 0 || ioctl(setup->tap_fd, TUNSETIFF, &request) != 0) return ERR_IF;

  static const u8_t mac[6] = {0x02, 0x00, 0x5e, 0x10, 0x00, 0x01};  // locally administered
  memcpy(netif->hwaddr, mac, sizeof mac);
  netif->hwaddr_len = sizeof mac;
  memcpy(netif->name, "tp", 2);
  netif->mtu = mtu_bytes;
  netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP;
  netif->output = etharp_output;
  netif->linkoutput = transmit;
  sys_thread_new("receive", receive, setup, DEFAULT_THREAD_STACKSIZE, DEFAULT_THREAD_PRIO);
  return ERR_OK;
}

/// On lwIP's thread, which alone may touch its interfaces.
static void set_up(void* argument) {
  struct setup* setup = argument;
  ip4_addr_t address;
  ip4_addr_t netmask;
  const ip4_addr_t no_gateway = {0};
  if (!ip4addr_aton(setup->address, &address) || !ip4addr_aton(setup->netmask, &netmask) ||
      netif_add(&setup->netif, &address, &netmask, &no_gateway, setup, attach, tcpip_input) == NULL)
    fail("no interface");
  netif_set_default(&setup->netif);
  netif_set_up(&setup->netif);
  sys_sem_signal(&setup->done);
}

static int connect_to(const char* server) {
  struct sockaddr_in peer;
  memset(&peer, 0, sizeof peer);
  peer.sin_family = AF_INET;
  peer.sin_port = lwip_htons(80);
  if (!ip4addr_aton(server, (ip4_addr_t*)&peer.sin_addr)) return -1;
  const int fd = lwip_socket(AF_INET, SOCK_STREAM, 0);
  const struct timeval patience = {.tv_sec = receive_timeout_s, .tv_usec = 0};
  if (fd < 0 || lwip_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
    return -1;
  return lwip_connect(fd, (const struct sockaddr*)&peer, sizeof peer) == 0 ? fd : -1;
}

/// The body's bytes that came, or -1: no answer with a length.
static long long get(int fd, const char* name, long long* expected) {
  static char buffer[1 << 16];
  const int request = snprintf(buffer, sizeof buffer,
                               "GET /%s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", name);
  if (lwip_write(fd, buffer, (size_t)request) != request) return -1;

  size_t held = 0;
  const char* body = NULL;
  while (body == NULL && held < sizeof buffer - 1) {
    const ssize_t got = lwip_read(fd, buffer + held, sizeof buffer - 1 - held);
    if (got <= 0) return -1;
    held += (size_t)got;
    buffer[held] = '\0';
    body = strstr(buffer, "\r\n\r\n");
  }
  const char* length = strstr(buffer, "Content-Length: ");
  if (body == NULL || length == NULL || length > body) return -1;
  *expected = atoll(length + strlen("Content-Length: "));

  body += 4;
  size_t more = held - (size_t)(body - buffer);
  long long received = 0;
  memmove(buffer, body, more);
  for (;;) {
    if (fwrite(buffer, 1, more, stdout) != more) return -1;
    received += (long long)more;
    const ssize_t got = lwip_read(fd, buffer, sizeof buffer);
    if (got < 0) return -1;
    if (got == 0) return received;
    more = (size_t)got;
  }
}

int main(int argc, char** argv) {
  if (argc != 6) {
    fprintf(stderr, "lwip_client TAP OWN-ADDRESS NETMASK SERVER NAME\n");
    return 2;
  }
  static struct setup setup;
  setup.tap = argv[1];
  setup.address = argv[2];
  setup.netmask = argv[3];
  if (sys_sem_new(&setup.done, 0) != ERR_OK) return 1;
  tcpip_init(set_up, &setup);
  sys_sem_wait(&setup.done);

  const int fd = connect_to(argv[4]);
  if (fd < 0) fail("no connection");
  long long expected = 0;
  const long long received = get(fd, argv[5], &expected);
  lwip_close(fd);
  if (fflush(stdout) != 0 || received < 0 || received != expected) {
    fprintf(stderr, "lwip_client: %lld bytes of %lld\n", received, expected);
    return 1;
  }
  return 0;
}
