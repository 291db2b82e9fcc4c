// Aligned tables for people: one row a thing, no blanks in cells but in a last one that is a sentence, empty cells as
// "-".
#pragma once

#include <string>
#include <vector>

namespace jvmc::tool {

class Table {
 public:
  enum class LastColumn { Word, Sentence };
  explicit Table(std::vector<std::string> header, LastColumn last = LastColumn::Word)
      : rows_{std::move(header)}, last_(last) {}
  size_t rows() const { return rows_.size(); }  ///< the header included
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// Columns are two spaces apart; the last one is not padded. The header is bold if `color`.
  std::string text(bool color) const;

 private:
  std::vector<std::vector<std::string>> rows_;
  LastColumn last_;
};

std::string formatBytes(uint64_t bytes);         ///< "1.5M"
std::string formatNanos(uint64_t nanos);         ///< "1.25s", "310ms"
std::string formatAge(int64_t sinceUnixMillis);  ///< "12s", "3m", "5h", "2d"

}  // namespace jvmc::tool
