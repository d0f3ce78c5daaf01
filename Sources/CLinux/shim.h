// What Swift's Glibc module leaves out: calls that glibc declares for _GNU_SOURCE only, and headers that the
// module does not list. Declarations alone; no code of ours, nothing to link but libc.
#pragma once
#include <malloc.h>
#include <linux/netlink.h>
#include <sys/vfs.h>

int setns(int fd, int nstype);
int unshare(int flags);
