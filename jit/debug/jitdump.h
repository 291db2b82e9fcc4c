// A jitdump file: compiled functions with their code, for `perf record -k 1`, `perf inject --jit` and `perf annotate`.
// Layout (tools/perf/Documentation/jitdump-specification.txt of Linux): a header of 40 bytes, then records, each
// {id u32, bytes u32, timestamp u64} and what its id says; all in the byte order of this machine.
//
//     header   magic "JiTD" | version 1 | 40 | ELF machine | 0 | pid | timestamp | flags 0
//     load     prefix | pid | tid | address | address | bytes | number | name\0 | code
//     close    prefix
//
// perf finds the file because a page of it is mapped executable: that leaves an event with its name in perf.data.
#pragma once

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>

namespace jvmc::jit {

class JitDump {
 public:
  /// Opens jit-PID.dump in $JITDUMPDIR, or in /tmp; if that fails, nothing is written.
  JitDump();
  /// Writes the closing record.
  ~JitDump();
  JitDump(const JitDump&) = delete;
  JitDump& operator=(const JitDump&) = delete;

  /// Thread-safe; the record is in the file when it returns. `code`: the bytes as they will be executed at `address`.
  void add(uint64_t address, std::string_view code, std::string_view name);

 private:
  void write(const void* bytes, size_t size);

  std::mutex mutex_;
  std::FILE* file_ = nullptr;
  void* marker_ = nullptr;  ///< the mapped page
  uint64_t number_ = 0;     ///< of the next function
};

}  // namespace jvmc::jit
