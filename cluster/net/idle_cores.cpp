#include "cluster/net/idle_cores.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

namespace jvmc::cluster {

IdleCores::IdleCores()
    : fd_(open("/proc/loadavg", O_RDONLY | O_CLOEXEC)), cores_(std::thread::hardware_concurrency()) {}

IdleCores::~IdleCores() {
  if (fd_ >= 0) close(fd_);
}

bool IdleCores::any() {
  auto now = std::chrono::steady_clock::now();
  if (now - readAt_ < std::chrono::microseconds(200)) return last_;
  readAt_ = now;
  char text[128];
  ssize_t count = fd_ >= 0 ? pread(fd_, text, sizeof text - 1, 0) : -1;
  if (count <= 0) return last_ = false;
  text[count] = 0;
  unsigned runnable = 0;  // "0.20 0.18 0.12 1/80 11206": one runnable thread of 80
  last_ = std::sscanf(text, "%*s %*s %*s %u/", &runnable) == 1 && runnable <= cores_;
  return last_;
}

}  // namespace jvmc::cluster
