#include "runtime/outside_local.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <utility>

#include "ir/support/check.h"
#include "ir/support/fault.h"

namespace jvmc::rt {
namespace {

OutsideResult valueResult(uint64_t value) {
  return {OutsideResult::Kind::Value, value, {}};
}
OutsideResult bytesResult(std::string bytes) {
  return {OutsideResult::Kind::Bytes, 0, std::move(bytes)};
}
OutsideResult nullResult() {
  return {OutsideResult::Kind::Null, 0, {}};
}
OutsideResult ioError(std::string message) {
  return {OutsideResult::Kind::IoError, 0, std::move(message)};
}
OutsideResult ioError(std::string_view what, int error) {
  return ioError(fmt::format("{}: {}", what, strerror(error)));
}

/// Writes all of it. 0, or the error.
int writeAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      ::poll(&writable, 1, -1);
      continue;
    }
    if (n < 0) return errno;
    bytes.remove_prefix(size_t(n));
  }
  return 0;
}

/// A closed pipe is an error of the write, not a signal to the process.
void blockBrokenPipeSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

/// A descriptor that is closed at the end.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::optional<std::string> cPath(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return std::nullopt;
  return path;
}

}  // namespace

// ---------------------------------------------------------------- standard input

/// Buffered reading that another thread can cut off.
class OutsideExecutor::InputReader {
 public:
  explicit InputReader(int fd) : fd_(fd), stop_(::eventfd(0, EFD_CLOEXEC)) { JVMC_CHECK(stop_ >= 0, errno); }
  ~InputReader() { ::close(stop_); }

  void interrupt() {
    uint64_t one = 1;
    JVMC_CHECK(::write(stop_, &one, sizeof one) == sizeof one, errno);
  }

  std::optional<OutsideResult> readLine() {
    std::scoped_lock lock(mutex_);
    size_t searched = 0;
    while (true) {
      size_t end = buffer_.find('\n', searched);
      if (end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return bytesResult(std::move(line));
      }
      searched = buffer_.size();
      Fill fill = more();
      if (fill == Fill::Interrupted) return std::nullopt;
      if (fill == Fill::Failed) return ioError("standard input", errno);
      if (fill == Fill::More) continue;
      if (buffer_.empty()) return nullResult();
      return bytesResult(std::exchange(buffer_, {}));
    }
  }

  std::optional<OutsideResult> read(size_t max) {
    std::scoped_lock lock(mutex_);
    if (buffer_.empty()) {
      Fill fill = more();
      if (fill == Fill::Interrupted) return std::nullopt;
      if (fill == Fill::Failed) return ioError("standard input", errno);
      if (fill == Fill::End) return nullResult();
    }
    std::string bytes = buffer_.substr(0, max);
    buffer_.erase(0, bytes.size());
    return bytesResult(std::move(bytes));
  }

 private:
  enum class Fill { More, End, Interrupted, Failed };

  Fill more() {
    while (true) {
      pollfd fds[2] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0) {
        if (errno == EINTR) continue;
        return Fill::Failed;
      }
      if (fds[1].revents) return Fill::Interrupted;
      char chunk[16384];
      ssize_t n = ::read(fd_, chunk, sizeof chunk);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n < 0) return Fill::Failed;
      buffer_.append(chunk, size_t(n));
      return n == 0 ? Fill::End : Fill::More;
    }
  }

  const int fd_;
  const int stop_;  // readable: return
  std::mutex mutex_;
  std::string buffer_;
};

// ---------------------------------------------------------------- files

/// Open files by handle. Operations on one handle run one after another.
class OutsideExecutor::Files {
 public:
  OutsideResult open(const std::string& name, int32_t mode) {
    auto path = cPath(name);
    if (!path) return ioError(name, ENOENT);
    static constexpr int kFlags[] = {O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND};
    if (mode < 0 || mode > 2)
      return ioError(fmt::format("{}: unknown mode {} (0 read, 1 write, 2 append)", name, mode));
    int fd = ::open(path->c_str(), kFlags[mode] | O_CLOEXEC, 0666);
    if (fd < 0) return ioError(name, errno);
    std::scoped_lock lock(mutex_);
    int32_t handle = nextHandle_++;
    files_.emplace(handle, std::make_shared<OpenFile>(name, fd));
    return valueResult(uint32_t(handle));
  }

  OutsideResult read(int32_t handle, size_t max) {
    auto file = find(handle);
    if (!file) return badHandle(handle);
    std::string bytes(std::min(max, kMaxReadBytes), '\0');
    ssize_t n;
    do n = ::read(file->fd.get(), bytes.data(), bytes.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) return ioError(file->name, errno);
    if (n == 0) return nullResult();
    bytes.resize(size_t(n));
    return bytesResult(std::move(bytes));
  }

  OutsideResult write(int32_t handle, std::string_view bytes) {
    auto file = find(handle);
    if (!file) return badHandle(handle);
    if (int error = writeAll(file->fd.get(), bytes)) return ioError(file->name, error);
    return valueResult(0);
  }

  OutsideResult close(int32_t handle) {
    std::scoped_lock lock(mutex_);
    return files_.erase(handle) ? valueResult(0) : badHandle(handle);
  }

  static OutsideResult readFile(const std::string& name) {
    auto path = cPath(name);
    if (!path) return ioError(name, ENOENT);
    OwnedFd fd(::open(path->c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return ioError(name, errno);
    std::string bytes;
    char chunk[65536];
    while (true) {
      ssize_t n = ::read(fd.get(), chunk, sizeof chunk);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ioError(name, errno);
      if (n == 0) return bytesResult(std::move(bytes));
      bytes.append(chunk, size_t(n));
      if (bytes.size() > kMaxBytes) return ioError(name, EFBIG);
    }
  }

  static OutsideResult writeFile(const std::string& name, std::string_view bytes) {
    auto path = cPath(name);
    if (!path) return ioError(name, ENOENT);
    int fd = ::open(path->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return ioError(name, errno);
    int error = writeAll(fd, bytes);
    // Some file systems say only here that the disk is full.
    if (::close(fd) != 0 && !error) error = errno;
    return error ? ioError(name, error) : valueResult(0);
  }

 private:
  struct OpenFile {
    OpenFile(std::string fileName, int descriptor) : name(std::move(fileName)), fd(descriptor) {}
    std::string name;
    OwnedFd fd;
  };
  /// A guest array holds no more.
  static constexpr size_t kMaxBytes = INT32_MAX;
  /// Of one read, however much was asked for.
  static constexpr size_t kMaxReadBytes = 4 << 20;

  std::shared_ptr<OpenFile> find(int32_t handle) {
    std::scoped_lock lock(mutex_);
    auto found = files_.find(handle);
    return found == files_.end() ? nullptr : found->second;
  }
  static OutsideResult badHandle(int32_t handle) { return ioError(fmt::format("file {} is not open", handle)); }

  std::mutex mutex_;
  std::map<int32_t, std::shared_ptr<OpenFile>> files_;
  int32_t nextHandle_ = 3;
};

// ---------------------------------------------------------------- executor

OutsideExecutor::OutsideExecutor(Options options)
    : options_(std::move(options)),
      input_(std::make_unique<InputReader>(options_.input)),
      files_(std::make_unique<Files>()) {}

OutsideExecutor::~OutsideExecutor() = default;

void OutsideExecutor::interruptInput() {
  input_->interrupt();
}

bool OutsideExecutor::readsInput(const OutsideCall& call) {
  if (call.native == "io.read_line") return true;
  return call.native == "io.read" && !call.scalars.empty() && int32_t(call.scalars[0]) == 0;
}

std::optional<OutsideResult> OutsideExecutor::execute(const OutsideCall& call) {
  {
    std::scoped_lock lock(mutex_);
    auto [at, isFirst] = last_.try_emplace(call.thread.id);
    LastCall& last = at->second;
    if (JVMC_FAULT("outside-call-is-done-again")) isFirst = true;
    if (!isFirst && call.number == last.number && last.done) return last.result;
    if (!isFirst && call.number <= last.number) return std::nullopt;
    last = {call.number, false, {}};
  }
  std::optional<OutsideResult> result = run(call);
  if (!result) return std::nullopt;
  std::scoped_lock lock(mutex_);
  LastCall& last = last_[call.thread.id];
  last.done = true;
  last.result = *result;
  return result;
}

std::optional<OutsideResult> OutsideExecutor::run(const OutsideCall& call) {
  auto is = [&](std::string_view native, size_t scalars, size_t arrays) {
    return call.native == native && call.scalars.size() == scalars && call.bytes.size() == arrays;
  };
  auto scalar = [&](size_t i) { return int32_t(call.scalars[i]); };
  auto print = [&](int fd, std::string_view stream, std::string_view bytes) -> std::optional<OutsideResult> {
    int error = writeAll(fd, bytes);
    if (error == EPIPE && fd == options_.output && options_.onOutputClosed) {
      options_.onOutputClosed();
      return std::nullopt;
    }
    return error ? ioError(stream, error) : valueResult(0);
  };
  if (is("io.print", 0, 1)) return print(options_.output, "standard output", call.bytes[0]);
  if (is("io.eprint", 0, 1)) return print(options_.error, "standard error", call.bytes[0]);
  if (is("io.read_line", 0, 0)) return input_->readLine();
  if (is("io.open", 1, 1)) return files_->open(call.bytes[0], scalar(0));
  if (is("io.read", 2, 0)) {
    if (scalar(1) <= 0) return ioError(fmt::format("cannot read {} bytes", scalar(1)));
    return scalar(0) == 0 ? input_->read(size_t(scalar(1))) : files_->read(scalar(0), size_t(scalar(1)));
  }
  if (is("io.write", 1, 1)) {
    if (scalar(0) == 1) return print(options_.output, "standard output", call.bytes[0]);
    if (scalar(0) == 2) return print(options_.error, "standard error", call.bytes[0]);
    return files_->write(scalar(0), call.bytes[0]);
  }
  if (is("io.close", 1, 0)) return files_->close(scalar(0));
  if (is("io.read_file", 0, 1)) return Files::readFile(call.bytes[0]);
  if (is("io.write_file", 0, 2)) return Files::writeFile(call.bytes[0], call.bytes[1]);
  if (is("time.wall_nanos", 0, 0)) {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return valueResult(uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()));
  }
  if (is("program.exit", 1, 0)) {
    if (options_.onExit) options_.onExit(scalar(0));
    return std::nullopt;
  }
  return ioError(fmt::format("{}: no such native, or other arguments than it takes", call.native));
}

// ---------------------------------------------------------------- threads in front

LocalOutsideWorld::LocalOutsideWorld(OutsideExecutor::Options options, Answer answer)
    : executor_(std::move(options)), answer_(std::move(answer)) {
  input_.thread = std::thread([this] { serve(input_); });
  other_.thread = std::thread([this] { serve(other_); });
}

LocalOutsideWorld::~LocalOutsideWorld() {
  {
    std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  executor_.interruptInput();
  for (Lane* lane : {&input_, &other_}) {
    lane->filled.notify_one();
    lane->thread.join();
  }
}

void LocalOutsideWorld::call(OutsideCall call) {
  Lane& lane = OutsideExecutor::readsInput(call) ? input_ : other_;
  {
    std::scoped_lock lock(mutex_);
    lane.calls.push_back(std::move(call));
  }
  lane.filled.notify_one();
}

void LocalOutsideWorld::serve(Lane& lane) {
  pthread_setname_np(pthread_self(), "jvmc-outside");
  blockBrokenPipeSignal();
  std::unique_lock lock(mutex_);
  while (true) {
    lane.filled.wait(lock, [&] { return stop_ || !lane.calls.empty(); });
    if (stop_) return;
    OutsideCall call = std::move(lane.calls.front());
    lane.calls.pop_front();
    lock.unlock();
    if (std::optional<OutsideResult> result = executor_.execute(call))
      answer_(call.thread, call.ticket, std::move(*result));
    lock.lock();
  }
}

}  // namespace jvmc::rt
