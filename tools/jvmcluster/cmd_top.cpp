// jvmcluster top: nodes and threads of a running program, live; threads can be moved and nodes drained from there.
#include <fmt/format.h>
#include <unistd.h>

// Without its macros, which clash with everything.
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <curses.h>

#include <algorithm>
#include <charconv>
#include <clocale>
#include <cstdio>
#include <optional>

#include "tools/jvmcluster/clusters.h"
#include "tools/jvmcluster/top_view.h"

namespace jvmc::tool {

namespace {

using Json = nlohmann::ordered_json;

struct TopOptions : ClusterOptions {
  std::string program;
  std::string sort = "cpu";
  std::string filter;
  double seconds = 1;
  bool once = false;
};

Result<TopState> look(Clusters::Program& program, TopSort sort, const std::string& filter) {
  auto nodes = program.client->nodes(program.view.id);
  if (!nodes.ok()) return nodes.error();
  auto threads = program.client->threads(program.view.id);
  if (!threads.ok()) return threads.error();
  TopState state{std::move(*nodes), std::move(*threads), 0};
  arrange(state, sort, filter);
  return state;
}

TopSort sortNamed(const std::string& name) {
  return TopSort(std::find(std::begin(kTopSorts), std::end(kTopSorts), name) - std::begin(kTopSorts));
}

/// The terminal, taken over until this goes.
class Screen {
 public:
  Screen() {
    std::setlocale(LC_ALL, "");
    initscr();
    cbreak();
    noecho();
    keypad(stdscr, true);
    curs_set(0);
  }
  ~Screen() { endwin(); }
  Screen(const Screen&) = delete;

  int rows() const { return getmaxy(stdscr); }
  /// The next key, or ERR after so many milliseconds.
  int key(int millis) {
    wtimeout(stdscr, millis);
    return wgetch(stdscr);
  }
  void line(int row, const std::string& text, attr_t attributes = A_NORMAL) {
    if (row < 0 || row >= rows()) return;
    wmove(stdscr, row, 0);
    wclrtoeol(stdscr);
    wattron(stdscr, int(attributes));
    waddnstr(stdscr, text.c_str(), getmaxx(stdscr) - 1);
    wattroff(stdscr, int(attributes));
  }
  void clear() { werase(stdscr); }
  void show() { wrefresh(stdscr); }

  /// A line of text from the user; nothing if Escape was typed.
  std::optional<std::string> ask(const std::string& question) {
    std::string text;
    for (;;) {
      line(rows() - 1, question + text, A_BOLD);
      show();
      const int typed = key(-1);
      if (typed == 27) return std::nullopt;
      if (typed == '\n' || typed == KEY_ENTER) return text;
      if ((typed == KEY_BACKSPACE || typed == 127 || typed == 8) && !text.empty()) text.pop_back();
      if (typed >= 32 && typed < 127) text += char(typed);
    }
  }
};

/// The live view: what is selected, and what the last command said.
class Live {
 public:
  Live(Clusters::Program& program, const TopOptions& options)
      : program_(program),
        sort_(sortNamed(options.sort)),
        filter_(options.filter),
        millis_(int(options.seconds * 1000)) {}

  /// Until the user has seen enough, or nobody answers any more.
  Status run() {
    for (;;) {
      auto state = look(program_, sort_, filter_);
      if (!state.ok()) return state.error();
      state_ = std::move(*state);
      draw();
      const int typed = screen_.key(millis_);
      if (typed == 'q') return Unit{};
      handle(typed);
    }
  }

 private:
  void draw() {
    const TopLines lines = linesOf(state_, program_.view.name, sort_, filter_);
    selected_ = std::min(selected_, state_.threads.empty() ? 0 : state_.threads.size() - 1);
    screen_.clear();
    int row = 0;
    screen_.line(row++, lines.title, A_BOLD);
    for (size_t i = 0; i < lines.nodes.size(); ++i)
      screen_.line(row++, lines.nodes[i], i == 0 ? A_UNDERLINE : A_NORMAL);
    ++row;
    screen_.line(row++, lines.threads[0], A_UNDERLINE);
    const size_t room = size_t(std::max(1, screen_.rows() - row - 1));
    const size_t from = selected_ >= room ? selected_ - room + 1 : 0;
    for (size_t i = from; i < std::min(state_.threads.size(), from + room); ++i)
      screen_.line(row++, lines.threads[i + 1], i == selected_ ? A_REVERSE : A_NORMAL);
    screen_.line(screen_.rows() - 1,
                 message_.empty() ? "c r n a sort by cpu, remote, node, name   / filter   m migrate   d drain   q quit"
                                  : message_);
    screen_.show();
  }

  void handle(int typed) {
    if (typed != ERR) message_.clear();
    switch (typed) {
      case 'c':
        sort_ = TopSort::Cpu;
        return;
      case 'r':
        sort_ = TopSort::Remote;
        return;
      case 'n':
        sort_ = TopSort::Node;
        return;
      case 'a':
        sort_ = TopSort::Name;
        return;
      case KEY_DOWN:
      case 'j':
        ++selected_;
        return;
      case KEY_UP:
      case 'k':
        selected_ -= selected_ > 0;
        return;
      case '/':
        if (auto text = screen_.ask("only threads with: ")) filter_ = *text;
        return;
      case 'm':
        return migrate();
      case 'd':
        return drain();
      default:
        return;
    }
  }

  std::optional<uint32_t> askNode(const std::string& question) {
    const auto text = screen_.ask(question);
    if (!text) return std::nullopt;
    uint32_t node = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), node);
    if (error == std::errc() && end == text->data() + text->size()) return node;
    message_ = "'" + *text + "' is no node";
    return std::nullopt;
  }

  void migrate() {
    if (state_.threads.empty()) return;
    const cluster::ThreadView thread = state_.threads[selected_];
    const auto node = askNode(fmt::format("move {} to node: ", thread.name.empty() ? "the thread" : thread.name));
    if (!node) return;
    const Status moved = program_.client->migrate(program_.view.id, thread.id, *node);
    message_ = moved.ok() ? fmt::format("asked to move to node {}", *node) : moved.error().message;
  }

  void drain() {
    const auto node = askNode("drain node: ");
    if (!node) return;
    const auto view = program_.client->drain(program_.view.id, *node, true, 0);
    message_ = view.ok() ? fmt::format("node {} is leaving", *node) : view.error().message;
  }

  Clusters::Program& program_;
  TopSort sort_;
  std::string filter_;
  const int millis_;
  Screen screen_;
  TopState state_;
  size_t selected_ = 0;
  std::string message_;
};

int top(const CommonOptions& common, const TopOptions& options) {
  const auto fail = [&](const Error& error) {
    printError(common, error.message);
    return exitCodeOf(error);
  };
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(program.error());
  if (!options.once && options.output != "json" && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO)) {
    const Status seen = Live(*program, options).run();
    return seen.ok() ? int(kOk) : fail(seen.error());
  }
  const TopSort sort = sortNamed(options.sort);
  auto state = look(*program, sort, options.filter);
  if (!state.ok()) return fail(state.error());
  if (options.output == "json") {
    Json json = {{"schemaVersion", 1}, {"program", program->view.id}};
    json.update(toJson(*state));
    return std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str()), kOk;
  }
  const TopLines lines = linesOf(*state, program->view.name, sort, options.filter);
  std::printf("%s\n", lines.title.c_str());
  for (const auto& line : lines.nodes) std::printf("%s\n", line.c_str());
  std::printf("\n");
  for (const auto& line : lines.threads) std::printf("%s\n", line.c_str());
  return kOk;
}

}  // namespace

void addTop(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* command = app.add_subcommand("top", "Watch the nodes and threads of a program");
  options->addTo(*command);
  command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->add_option("--sort", options->sort, "cpu, remote (requests to other nodes), node or name")
      ->check(CLI::IsMember({"cpu", "remote", "node", "name"}))
      ->capture_default_str();
  command->add_option("--filter", options->filter, "Only threads whose name, state or wait contains this");
  command->add_option("--seconds", options->seconds, "Between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_flag("--once", options->once, "Print it once and end; so does --json, and output that is no terminal");
  command->footer(
      "Examples:\n"
      "  jvmcluster top                       # keys: c r n a sort, / filter, m migrate, d drain, q quit\n"
      "  jvmcluster top --once --sort remote\n"
      "  jvmcluster top --json --filter worker");
  command->callback([&common, options, &action] { action = [&common, options] { return top(common, *options); }; });
}

}  // namespace jvmc::tool
