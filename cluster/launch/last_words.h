// What nodes that end had still to say to the tools that look at them again and again.
//
// A tool comes for profiles and events twice a second (observer.h), so a node that ends between two looks would take
// with it what it has gathered since the first. The launcher therefore asks such a node once more, and gives the answer
// to whoever asks next. Nobody is asked while nobody looks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace jvmc::cluster {

/// On one thread.
class LastWords {
 public:
  /// Who has not asked again after so long is gone, as a node's lease says.
  static constexpr int64_t kLeaseNanos = 5'000'000'000;

  /// A tool asks the nodes this at time `now`: gives what nodes have left for it that are there no more.
  std::vector<std::string> take(const std::string& request, int64_t now);
  /// What a node that is about to end is to be asked.
  std::vector<std::string> questions(int64_t now) const;
  /// Its answer to one of these questions.
  void keep(const std::string& question, std::string answer);
  /// Something has been left that nobody has taken yet.
  bool any() const;

 private:
  struct Watch {
    int64_t askedAt = 0;
    std::vector<std::string> left;
  };
  std::map<std::string, Watch> watches_;  // by question
};

}  // namespace jvmc::cluster
