// What Swift's Glibc module leaves out: calls that glibc declares for _GNU_SOURCE only, and headers that the
// module does not list. Declarations alone; no code of ours, nothing to link but libc.
#pragma once
#include <linux/filter.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/vfs.h>

int accept4(int fd, struct sockaddr *addr, socklen_t *length, int flags);
pid_t gettid(void);
int setns(int fd, int nstype);
int unshare(int flags);

// A fork that runs no handlers: its child may make system calls, and nothing else.
pid_t _Fork(void);
int close_range(unsigned int first, unsigned int last, int flags);
