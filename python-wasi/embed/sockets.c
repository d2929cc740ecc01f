// Sockets, which the C library for WASI lacks, with the structures and numbers of
// Linux: the host's package sockets is the other half.
#include "abi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>

#define IMPORT(name) \
  __attribute__((import_module("vivarium"), import_name(name))) extern int32_t

IMPORT("sock_open")
host_open(int32_t family, int32_t type, int32_t protocol, int32_t *fd);
IMPORT("sock_connect")
host_connect(int32_t fd, const void *address, size_t size);
IMPORT("sock_pair")
host_pair(int32_t family, int32_t type, int32_t protocol, int32_t fds[2]);
IMPORT("sock_dup") host_dup(int32_t fd, int32_t *copy);
IMPORT("sock_bind") host_bind(int32_t fd, const void *address, size_t size);
IMPORT("sock_listen") host_listen(int32_t fd, int32_t backlog);
IMPORT("sock_accept") host_accept(int32_t fd, int32_t flags, int32_t *accepted);
IMPORT("sock_recv")
host_recv(int32_t fd, void *buf, size_t size, int32_t flags, void *from,
          size_t *received);
IMPORT("sock_send")
host_send(int32_t fd, const void *buf, size_t size, int32_t flags,
          const void *address, size_t length, size_t *sent);
IMPORT("sock_shutdown") host_shutdown(int32_t fd, int32_t how);
IMPORT("sock_name") host_name(int32_t fd, int32_t peer, void *address);
IMPORT("sock_get_option")
host_get_option(int32_t fd, int32_t level, int32_t name, int32_t *value);
IMPORT("sock_set_option")
host_set_option(int32_t fd, int32_t level, int32_t name, int32_t value);
IMPORT("sock_refusal") host_refusal(char *buf, size_t size, size_t *length);
IMPORT("fd_poll")
host_poll(struct pollfd *fds, size_t count, int64_t timeout, size_t *ready);

#ifndef F_DUPFD_CLOEXEC
#define F_DUPFD_CLOEXEC 1030
#endif

// The form in which the host writes addresses.
#define ADDRESS_SIZE 28

// Whether the last call was refused.
static int refused = 0;

int network_result(int32_t error) {
  refused = error == EACCES;
  if (error == 0) {
    return 0;
  }
  errno = error;
  return -1;
}

char *__real_strerror(int error);

// Right after a refusal, the text for "permission denied" tells what was refused, and
// what would allow it.
char *__wrap_strerror(int error) {
  static char text[512];
  size_t length;
  if (error != EACCES || !refused) {
    return __real_strerror(error);
  }
  refused = 0;
  if (host_refusal(text, sizeof text - 1, &length) != 0 || length == 0) {
    return __real_strerror(error);
  }
  text[length] = '\0';
  return text;
}

int socket(int family, int type, int protocol) {
  int32_t fd;
  int error = host_open(family, type, protocol, &fd);
  return network_result(error) == 0 ? fd : -1;
}

int socketpair(int family, int type, int protocol, int fds[2]) {
  return network_result(host_pair(family, type, protocol, fds));
}

int __real_fcntl(int fd, int command, ...);

// socket.dup() asks for F_DUPFD_CLOEXEC (recipe/cpython.sh), which the C library has
// not. Only sockets can be duplicated.
int __wrap_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  int argument = va_arg(arguments, int);
  va_end(arguments);
  if (command != F_DUPFD_CLOEXEC) {
    return __real_fcntl(fd, command, argument);
  }
  int32_t copy;
  return network_result(host_dup(fd, &copy)) == 0 ? copy : -1;
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
  return network_result(host_connect(fd, address, size));
}

int bind(int fd, const struct sockaddr *address, socklen_t size) {
  return network_result(host_bind(fd, address, size));
}

int listen(int fd, int backlog) {
  return network_result(host_listen(fd, backlog));
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
  int32_t accepted;
  if (network_result(host_accept(fd, flags, &accepted)) != 0) {
    return -1;
  }
  if (address != NULL) {
    getpeername(accepted, address, size);
  }
  return accepted;
}

int accept(int fd, struct sockaddr *address, socklen_t *size) {
  return accept4(fd, address, size, 0);
}

// copy_name copies an address that the host wrote, as much of it as there is room for.
static void copy_name(const char *name, struct sockaddr *address,
                      socklen_t *size) {
  socklen_t full;
  switch (((const struct sockaddr *)name)->sa_family) {
  case AF_INET:
    full = sizeof(struct sockaddr_in);
    break;
  case AF_INET6:
    full = sizeof(struct sockaddr_in6);
    break;
  case AF_UNSPEC:
    full = 0;
    break;
  default:
    full = sizeof(sa_family_t);
  }
  memcpy(address, name, *size < full ? *size : full);
  *size = full;
}

static int name_of(int fd, int peer, struct sockaddr *address,
                   socklen_t *size) {
  char name[ADDRESS_SIZE];
  if (network_result(host_name(fd, peer, name)) != 0) {
    return -1;
  }
  copy_name(name, address, size);
  return 0;
}

int getsockname(int fd, struct sockaddr *restrict address,
                socklen_t *restrict size) {
  return name_of(fd, 0, address, size);
}

int getpeername(int fd, struct sockaddr *restrict address,
                socklen_t *restrict size) {
  return name_of(fd, 1, address, size);
}

ssize_t sendto(int fd, const void *buf, size_t size, int flags,
               const struct sockaddr *address, socklen_t length) {
  size_t sent;
  int error = host_send(fd, buf, size, flags, address,
                        address == NULL ? 0 : length, &sent);
  return network_result(error) == 0 ? (ssize_t)sent : -1;
}

ssize_t send(int fd, const void *buf, size_t size, int flags) {
  return sendto(fd, buf, size, flags, NULL, 0);
}

ssize_t recvfrom(int fd, void *restrict buf, size_t size, int flags,
                 struct sockaddr *restrict address,
                 socklen_t *restrict length) {
  char from[ADDRESS_SIZE];
  size_t received;
  int error = host_recv(fd, buf, size, flags, address == NULL ? NULL : from,
                        &received);
  if (network_result(error) != 0) {
    return -1;
  }
  if (address != NULL) {
    copy_name(from, address, length);
  }
  return (ssize_t)received;
}

ssize_t recv(int fd, void *buf, size_t size, int flags) {
  return recvfrom(fd, buf, size, flags, NULL, NULL);
}

static int is_datagram(int fd) {
  int32_t type;
  return host_get_option(fd, SOL_SOCKET, SO_TYPE, &type) == 0 &&
         type == SOCK_DGRAM;
}

// The most that one call gathers from, or scatters into, buffers.
#define GATHERED 131072

static size_t total_of(const struct msghdr *message) {
  size_t total = 0;
  for (int i = 0; i < (int)message->msg_iovlen && total < GATHERED; i++) {
    total += message->msg_iov[i].iov_len;
  }
  return total < GATHERED ? total : GATHERED;
}

// move copies between the buffers of a message and a contiguous one.
static void move(const struct msghdr *message, char *whole, size_t size,
                 int gather) {
  for (int i = 0; size > 0 && i < (int)message->msg_iovlen; i++) {
    const struct iovec *part = &message->msg_iov[i];
    size_t length = part->iov_len < size ? part->iov_len : size;
    memcpy(gather ? whole : part->iov_base, gather ? part->iov_base : whole,
           length);
    whole += length;
    size -= length;
  }
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  if (message->msg_controllen != 0) {
    return network_result(EOPNOTSUPP);
  }
  size_t size = total_of(message);
  char *whole = malloc(size + 1);
  if (whole == NULL) {
    return network_result(ENOMEM);
  }
  move(message, whole, size, 1);
  ssize_t sent =
      sendto(fd, whole, size, flags, message->msg_name, message->msg_namelen);
  free(whole);
  return sent;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  size_t size = total_of(message);
  char *whole = malloc(size + 1);
  if (whole == NULL) {
    return network_result(ENOMEM);
  }
  // Of a stream, MSG_TRUNC would throw away what is received.
  int truncating = is_datagram(fd) ? MSG_TRUNC : 0;
  ssize_t received = recvfrom(fd, whole, size, flags | truncating,
                              message->msg_name, &message->msg_namelen);
  if (received >= 0) {
    int truncated = truncating != 0 && (size_t)received > size;
    if (truncated && !(flags & MSG_TRUNC)) {
      received = (ssize_t)size;
    }
    move(message, whole, truncated ? size : (size_t)received, 0);
    message->msg_controllen = 0;
    message->msg_flags = truncated ? MSG_TRUNC : 0;
  }
  free(whole);
  return received;
}

int shutdown(int fd, int how) { return network_result(host_shutdown(fd, how)); }

int getsockopt(int fd, int level, int name, void *restrict value,
               socklen_t *restrict size) {
  int32_t number[2] = {0, 0};
  if (network_result(host_get_option(fd, level, name, number)) != 0) {
    return -1;
  }
  socklen_t full = name == SO_LINGER && level == SOL_SOCKET
                       ? sizeof number
                       : sizeof number[0];
  if (*size > full) {
    *size = full;
  }
  memcpy(value, number, *size);
  return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
  int32_t number = 0;
  memcpy(&number, value, size < sizeof number ? size : sizeof number);
  return network_result(host_set_option(fd, level, name, number));
}

static int poll_for(struct pollfd *fds, size_t count, int64_t nanoseconds) {
  size_t ready;
  int error = host_poll(fds, count, nanoseconds, &ready);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return (int)ready;
}

int poll(struct pollfd *fds, nfds_t count, int milliseconds) {
  return poll_for(fds, count,
                  milliseconds < 0 ? -1 : (int64_t)milliseconds * 1000000);
}

// What each set of a select requests, and accepts as ready.
static const short asked[] = {POLLIN, POLLOUT, POLLPRI};
static const short answered[] = {POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR,
                                 POLLPRI};

int pselect(int count, fd_set *restrict read, fd_set *restrict write,
            fd_set *restrict except, const struct timespec *restrict timeout,
            const sigset_t *restrict mask) {
  (void)count, (void)mask;
  fd_set *const sets[] = {read, write, except};
  size_t total = 0, used = 0;
  for (int i = 0; i < 3; i++) {
    total += sets[i] != NULL ? sets[i]->__nfds : 0;
  }
  struct pollfd *fds = calloc(total + 1, sizeof *fds);
  if (fds == NULL) {
    errno = ENOMEM;
    return -1;
  }
  for (int i = 0; i < 3; i++) {
    for (size_t n = 0; sets[i] != NULL && n < sets[i]->__nfds; n++) {
      fds[used++] =
          (struct pollfd){.fd = sets[i]->__fds[n], .events = asked[i]};
    }
  }
  int ready = poll_for(fds, used,
                       timeout == NULL ? -1
                                       : (int64_t)timeout->tv_sec * 1000000000 +
                                             timeout->tv_nsec);
  used = 0;
  int found = ready < 0 ? -1 : 0;
  for (int i = 0; ready >= 0 && i < 3; i++) {
    size_t kept = 0;
    for (size_t n = 0; sets[i] != NULL && n < sets[i]->__nfds; n++) {
      const struct pollfd *entry = &fds[used++];
      if (entry->revents & POLLNVAL) {
        errno = EBADF;
        found = ready = -1;
      } else if (entry->revents & answered[i]) {
        sets[i]->__fds[kept++] = entry->fd;
        found++;
      }
    }
    if (sets[i] != NULL && ready >= 0) {
      sets[i]->__nfds = kept;
    }
  }
  free(fds);
  return found;
}

int select(int count, fd_set *restrict read, fd_set *restrict write,
           fd_set *restrict except, struct timeval *restrict timeout) {
  if (timeout == NULL) {
    return pselect(count, read, write, except, NULL, NULL);
  }
  struct timespec until = {.tv_sec = timeout->tv_sec,
                           .tv_nsec = timeout->tv_usec * 1000};
  return pselect(count, read, write, except, &until, NULL);
}
