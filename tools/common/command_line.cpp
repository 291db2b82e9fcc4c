#include "tools/common/command_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <vector>

#include "ir/text/diagnostics.h"
#include "tools/common/settings/settings.h"

namespace jvmc::tools {

namespace {

bool isSet(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

/// The subcommand that the arguments had reached when they went wrong.
const CLI::App* deepestParsed(const CLI::App& app) {
  auto parsed = app.get_subcommands();
  return parsed.empty() ? &app : deepestParsed(*parsed.front());
}

/// " (did you mean 'x'?)" for the first word of the command line that nothing knows.
std::string suggestion(const CLI::App& app, int argc, char** argv) {
  const CLI::App* command = deepestParsed(app);
  std::vector<std::string> names;
  for (const CLI::App* level : {command, &app})
    for (auto* option : level->get_options())
      for (auto& name : option->get_lnames()) names.push_back("--" + name);
  if (command == &app)
    for (auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  std::vector<std::string_view> candidates(names.begin(), names.end());
  for (int i = 1; i < argc; ++i) {
    std::string word = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    bool known = std::find(names.begin(), names.end(), word) != names.end() || word == command->get_name();
    bool mayBeMeant = word.starts_with("--") || command == &app;  // what else follows a subcommand is a file or a value
    if (known || !mayBeMeant) continue;
    auto nearest = ir::text::nearestName(word, candidates);
    if (nearest && *nearest != word) return fmt::format(" (did you mean '{}'?)", *nearest);
  }
  return "";
}

/// What is required is so again before anything is said about the command line.
class Relaxed {
 public:
  explicit Relaxed(Settings* settings) : settings_(settings) {
    if (settings_) settings_->relax();
  }
  ~Relaxed() {
    if (settings_) settings_->restore();
  }
  Relaxed(const Relaxed&) = delete;
  Relaxed& operator=(const Relaxed&) = delete;

 private:
  Settings* settings_;
};

/// In the direction in which a stream is not used: to use it is an error, as if it were still closed.
void occupyClosedStreams() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace

bool useColor(std::string_view choice, int fd) {
  if (choice != "auto") return choice == "always";
  if (isSet("NO_COLOR")) return false;
  if (isSet("CLICOLOR_FORCE")) return true;
  const char* term = std::getenv("TERM");
  return isatty(fd) && !(term && std::string_view(term) == "dumb");
}

void printError(std::string_view tool, bool color, std::string_view text) {
  std::string line = fmt::format("{}: {}error:{} {}\n", tool, color ? "\033[1;31m" : "", color ? "\033[0m" : "", text);
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

std::optional<int> parse(CLI::App& app, int argc, char** argv, const std::function<bool()>& color, Settings* settings) {
  try {
    {
      Relaxed relaxed(settings);
      app.parse(argc, argv);
    }
    if (settings) settings->apply();
    return std::nullopt;
  } catch (const SettingsError& error) {
    std::cerr << error.text(color());
    return kExitUsage;
  } catch (const CLI::ParseError& error) {
    bool wasAsked = error.get_exit_code() == int(CLI::ExitCodes::Success);  // --help, --version
    if (wasAsked) return app.exit(error), kExitOk;
    printError(app.get_name(), color(), error.what() + suggestion(app, argc, argv));
    const CLI::App* command = deepestParsed(app);
    std::cerr << "See '" << app.get_name() << (command == &app ? "" : " " + command->get_name()) << " --help'.\n";
    return kExitUsage;
  }
}

int guardedMain(const char* tool, const std::function<int()>& body) {
  occupyClosedStreams();
  try {
    return body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: internal error: %s\n", tool, error.what());
    return kExitInternal;
  }
}

}  // namespace jvmc::tools
