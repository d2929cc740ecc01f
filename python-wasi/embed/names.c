// Names of hosts and services. Numeric ones need no look-up, names are resolved by
// the host; the lists that getaddrinfo and the older functions make of them come
// from musl (recipe/network.sh).
#define _GNU_SOURCE // strnlen
#include "abi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

__attribute__((import_module("vivarium"),
               import_name("sock_resolve"))) extern int32_t
host_resolve(const char *name, size_t size, void *addresses, size_t room,
             size_t *count);

// As in musl's lookup.h.
#define MAX_ADDRESSES 48
#define MAX_SERVICES 2
#define MAX_NAME 255
struct address {
  int family;
  unsigned scope;
  uint8_t bytes[16];
  int sortkey;
};
struct service {
  uint16_t port;
  unsigned char protocol, type;
};
int __lookup_ipliteral(struct address found[1], const char *name, int family);

static int resolved_errno;
int *__h_errno_location(void) { return &resolved_errno; }

// There is one interface, about which nothing is known.
unsigned if_nametoindex(const char *name) {
  (void)name;
  return 0;
}

static int add(struct address *to, int family, const void *bytes) {
  to->family = family;
  memcpy(to->bytes, bytes, family == AF_INET ? 4 : 16);
  return 1;
}

// own returns the addresses for an empty name: any of one's own, or the loopback's.
static int own(struct address *found, int family, int passive) {
  static const uint8_t loopback[] = {127, 0, 0, 1}, any[4] = {0};
  int count = 0;
  if (family != AF_INET6) {
    count += add(&found[count], AF_INET, passive ? any : loopback);
  }
  if (family != AF_INET) {
    count += add(&found[count], AF_INET6,
                 passive ? &in6addr_any : &in6addr_loopback);
  }
  return count;
}

int __lookup_name(struct address found[MAX_ADDRESSES], char canonical[256],
                  const char *name, int family, int flags) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } addresses[MAX_ADDRESSES];
  memset(found, 0, MAX_ADDRESSES * sizeof *found);
  canonical[0] = '\0';
  if (name == NULL || *name == '\0') {
    return own(found, family, flags & AI_PASSIVE);
  }
  size_t length = strnlen(name, MAX_NAME + 1), count;
  if (length > MAX_NAME) {
    return EAI_NONAME;
  }
  memcpy(canonical, name, length + 1);
  int literal = __lookup_ipliteral(found, name, family);
  if (literal != 0) {
    return literal;
  }
  if (flags & AI_NUMERICHOST) {
    return EAI_NONAME;
  }
  int32_t error =
      host_resolve(name, length, addresses, MAX_ADDRESSES, &count);
  if (error == ENOENT) {
    return EAI_NONAME;
  }
  if (error == EAGAIN) {
    return EAI_AGAIN;
  }
  if (network_result(error) != 0) {
    return EAI_SYSTEM;
  }
  int matching = 0;
  for (size_t n = 0; n < count; n++) {
    int is = addresses[n].any.sa_family;
    if (family == AF_UNSPEC || family == is) {
      matching += add(&found[matching], is,
                      is == AF_INET ? (void *)&addresses[n].v4.sin_addr
                                    : (void *)&addresses[n].v6.sin6_addr);
    }
  }
  return matching > 0 ? matching : EAI_NODATA;
}

static const struct {
  const char *name;
  uint16_t port;
} services[] = {
    {"amqp", 5672},     {"domain", 53},      {"ftp", 21},
    {"http", 80},       {"https", 443},      {"imap", 143},
    {"imap2", 143},     {"imaps", 993},      {"ldap", 389},
    {"ldaps", 636},     {"mqtt", 1883},      {"mysql", 3306},
    {"ntp", 123},       {"pop3", 110},       {"pop3s", 995},
    {"postgresql", 5432}, {"redis", 6379},   {"smtp", 25},
    {"ssh", 22},        {"submission", 587}, {"submissions", 465},
    {"telnet", 23},
};
#define SERVICES (sizeof services / sizeof services[0])

static int port_of(const char *name) {
  for (size_t n = 0; n < SERVICES; n++) {
    if (strcmp(services[n].name, name) == 0) {
      return services[n].port;
    }
  }
  return -1;
}

int __lookup_serv(struct service found[MAX_SERVICES], const char *name,
                  int protocol, int type, int flags) {
  static const struct service both[] = {
      {0, IPPROTO_TCP, SOCK_STREAM}, {0, IPPROTO_UDP, SOCK_DGRAM}};
  if (type != 0 && type != SOCK_STREAM && type != SOCK_DGRAM) {
    if (name != NULL) {
      return EAI_SERVICE;
    }
    found[0] = (struct service){0, protocol, type};
    return 1;
  }
  long port = 0;
  if (name != NULL) {
    char *end;
    port = strtol(name, &end, 10);
    if (*name == '\0' || *end != '\0') {
      if (flags & AI_NUMERICSERV) {
        return EAI_NONAME;
      }
      port = port_of(name);
    }
    if (port < 0 || port > 65535) {
      return EAI_SERVICE;
    }
  }
  int count = 0;
  for (int n = 0; n < 2; n++) {
    if ((type == 0 || type == both[n].type) &&
        (protocol == 0 || protocol == both[n].protocol)) {
      found[count] = both[n];
      found[count++].port = (uint16_t)port;
    }
  }
  return count > 0 ? count : EAI_SERVICE;
}

int getnameinfo(const struct sockaddr *restrict address, socklen_t size,
                char *restrict host, socklen_t host_size,
                char *restrict service, socklen_t service_size, int flags) {
  const struct sockaddr_in *v4 = (const void *)address;
  const struct sockaddr_in6 *v6 = (const void *)address;
  int is_v4 = address->sa_family == AF_INET;
  if ((!is_v4 && address->sa_family != AF_INET6) ||
      size < (is_v4 ? sizeof *v4 : sizeof *v6)) {
    return EAI_FAMILY;
  }
  if (host != NULL && host_size > 0) {
    int loopback = is_v4 ? ntohl(v4->sin_addr.s_addr) >> 24 == 127
                         : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    if (loopback && !(flags & NI_NUMERICHOST)) {
      if (snprintf(host, host_size, "localhost") >= (int)host_size) {
        return EAI_OVERFLOW;
      }
    } else if (flags & NI_NAMEREQD) {
      return EAI_NONAME;
    } else if (inet_ntop(address->sa_family,
                         is_v4 ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr,
                         host, host_size) == NULL) {
      return EAI_OVERFLOW;
    }
  }
  if (service != NULL && service_size > 0) {
    int port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
    const char *name = NULL;
    for (size_t n = 0; n < SERVICES && !(flags & NI_NUMERICSERV); n++) {
      if (services[n].port == port && name == NULL) {
        name = services[n].name;
      }
    }
    int length = name != NULL ? snprintf(service, service_size, "%s", name)
                              : snprintf(service, service_size, "%d", port);
    if (length >= (int)service_size) {
      return EAI_OVERFLOW;
    }
  }
  return 0;
}
