#include "tools/jvmcluster/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace jvmc::tool {

std::string Table::text(bool color) const {
  std::vector<size_t> widths(rows_[0].size());
  auto cell = [](const std::string& value) {
    std::string text = value.empty() ? "-" : value;
    std::replace(text.begin(), text.end(), ' ', '_');
    return text;
  };
  for (auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], cell(row[i]).size());
  std::string out;
  for (auto& row : rows_) {
    bool header = &row == &rows_[0];
    std::string line;
    for (size_t i = 0; i + 1 < row.size(); ++i) line += fmt::format("{:<{}}  ", cell(row[i]), widths[i]);
    line += last_ == LastColumn::Sentence && !row.back().empty() ? row.back() : cell(row.back());
    out += header && color ? "\033[1m" + line + "\033[0m\n" : line + "\n";
  }
  return out;
}

std::string formatBytes(uint64_t bytes) {
  const char* units[] = {"B", "K", "M", "G", "T"};
  double value = double(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.1f}{}", value, units[unit]);
}

std::string formatNanos(uint64_t nanos) {
  return nanos < 1'000'000'000 ? fmt::format("{}ms", nanos / 1'000'000) : fmt::format("{:.2f}s", double(nanos) / 1e9);
}

std::string formatAge(int64_t sinceUnixMillis) {
  int64_t now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  int64_t seconds = std::max<int64_t>(0, (now - sinceUnixMillis) / 1000);
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m", seconds / 60);
  if (seconds < 172800) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

}  // namespace jvmc::tool
