#include "runtime/progress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <thread>

#include "runtime/status_text.hpp"

using namespace std::chrono_literals;

namespace {

/// As much of a terminal as the display uses: rows of text, a cursor, moving up, clearing a line.
class Screen {
 public:
  void write(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.substr(i, 3) == "\x1b[A") {
        REQUIRE(row_ > 0);
        --row_;
        i += 2;
      } else if (text.substr(i, 4) == "\x1b[2K") {
        rows_[row_].clear();
        i += 3;
      } else if (text[i] == '\n') {
        ++row_;
        column_ = 0;
        if (row_ == rows_.size()) rows_.emplace_back();
      } else if (text[i] == '\r') {
        column_ = 0;
      } else {
        rows_[row_].resize(std::max(rows_[row_].size(), column_ + 1), ' ');
        rows_[row_][column_++] = text[i];
      }
    }
  }

  const std::vector<std::string>& rows() const { return rows_; }

 private:
  std::vector<std::string> rows_{""};
  std::size_t row_ = 0;
  std::size_t column_ = 0;
};

struct Fixture {
  Screen screen;
  std::string log;
  fl::TerminalSize size;

  fl::ProgressOutput output(fl::ProgressMode mode, bool log_on_same_terminal = true) {
    fl::ProgressOutput out;
    out.mode = mode;
    out.log_on_same_terminal = log_on_same_terminal;
    out.write = [this](std::string_view text) { screen.write(text); };
    out.write_log = [this, log_on_same_terminal](std::string_view text) {
      if (log_on_same_terminal) {
        screen.write(text);
      } else {
        log += text;
      }
    };
    out.size = [this] { return size; };
    return out;
  }
};

fl::RunStatus at_version(fl::Version version) {
  fl::RunStatus status;
  status.state = "training";
  status.version = version;
  status.max_versions = 10;
  return status;
}

std::vector<std::string> with_cursor_row(std::vector<std::string> lines) {
  lines.emplace_back();
  return lines;
}

const fl::BlockStyle kStyle{79, false, false};
const fl::ProgressDisplay::TimePoint kStart{};

}  // namespace

TEST_CASE("the block is redrawn in place and never scrolls") {
  Fixture f;
  fl::ProgressDisplay display(f.output(fl::ProgressMode::block));
  for (fl::Version version = 0; version < 5; ++version) {
    display.show(at_version(version));
    CHECK(f.screen.rows() == with_cursor_row(fl::block_lines(at_version(version), kStyle)));
  }
}

TEST_CASE("log lines stand above the block, whole") {
  Fixture f;
  fl::ProgressDisplay display(f.output(fl::ProgressMode::block));
  display.print_above("first\n");
  display.show(at_version(1));
  display.print_above("second\n");
  display.show(at_version(2));
  display.print_above("third\n");

  std::vector<std::string> expected{"first", "second", "third"};
  for (const std::string& line : fl::block_lines(at_version(2), kStyle)) expected.push_back(line);
  // Six rows were used before "third" came.
  CHECK(f.screen.rows() == with_cursor_row(expected));
}

TEST_CASE("a log that goes elsewhere leaves the block alone") {
  Fixture f;
  fl::ProgressDisplay display(f.output(fl::ProgressMode::block, false));
  display.show(at_version(1));
  display.print_above("to a file\n");
  CHECK(f.log == "to a file\n");
  CHECK(f.screen.rows() == with_cursor_row(fl::block_lines(at_version(1), kStyle)));
}

TEST_CASE("a finished display leaves its last block and is silent") {
  Fixture f;
  fl::ProgressDisplay display(f.output(fl::ProgressMode::block));
  display.show(at_version(1));
  display.finish();
  display.show(at_version(2));
  display.print_above("after\n");
  std::vector<std::string> expected = fl::block_lines(at_version(1), kStyle);
  expected.emplace_back("after");
  CHECK(f.screen.rows() == with_cursor_row(expected));
}

TEST_CASE("a low window gets fewer lines, a narrow one shorter lines") {
  Fixture f;
  f.size = {30, 4};
  fl::ProgressDisplay display(f.output(fl::ProgressMode::block));
  display.show(at_version(1));
  display.show(at_version(2));
  std::vector<std::string> expected = fl::block_lines(at_version(2), {29, false, false});
  expected.resize(3);
  CHECK(f.screen.rows() == with_cursor_row(expected));
}

TEST_CASE("a window made narrower is cleared of the wrapped lines") {
  std::string written;
  fl::TerminalSize size{100, 24};
  fl::ProgressOutput out;
  out.mode = fl::ProgressMode::block;
  out.write = [&](std::string_view text) { written = text; };
  out.write_log = out.write;
  out.size = [&] { return size; };
  fl::ProgressDisplay display(out);
  display.show(at_version(1));
  std::size_t rows = 0;
  for (const std::string& line : fl::block_lines(at_version(1), {99, false, false})) {
    rows += std::max<std::size_t>(1, (line.size() + 19) / 20);
  }
  size.columns = 20;
  display.show(at_version(1));
  std::size_t moves = 0;
  for (std::size_t at = written.find("\x1b[A"); at != written.npos; at = written.find("\x1b[A", at + 1))
    ++moves;
  CHECK(moves == rows);
}

TEST_CASE("plain lines: one a version or state, one every 30 s, one at the end") {
  Fixture f;
  fl::ProgressDisplay display(f.output(fl::ProgressMode::plain));
  const auto count = [&] { return f.screen.rows().size() - 1; };
  display.show(at_version(0), kStart);
  CHECK(count() == 1);
  display.show(at_version(0), kStart + 29s);
  CHECK(count() == 1);
  display.show(at_version(0), kStart + 30s);
  CHECK(count() == 2);
  display.show(at_version(0), kStart + 59s);
  CHECK(count() == 2);
  display.show(at_version(1), kStart + 59500ms);
  CHECK(count() == 3);
  CHECK(f.screen.rows()[2] == fl::plain_line(at_version(1)));
  fl::RunStatus last = at_version(1);
  last.state = "stopping";
  display.show(last, kStart + 60s);
  CHECK(count() == 4);
  display.finish();
  CHECK(count() == 4);
}

TEST_CASE("the last plain line says how it stood in the end") {
  Fixture f;
  fl::RunStatus status = at_version(1);
  {
    fl::ProgressDisplay display(f.output(fl::ProgressMode::plain));
    display.show(status, kStart);
    status.accuracy = 0.5;
    display.show(status, kStart + 1s);
  }
  REQUIRE(f.screen.rows().size() == 3);
  CHECK(f.screen.rows()[1] == fl::plain_line(status));
}

TEST_CASE("silence shows no progress but lets the log through") {
  Fixture f;
  {
    fl::ProgressDisplay display(f.output(fl::ProgressMode::silent));
    display.show(at_version(1));
    display.print_above("log\n");
    display.finish();
  }
  CHECK(f.screen.rows() == std::vector<std::string>{"log", ""});
}

TEST_CASE("drawing and logging from several threads do not tear lines") {
  Fixture f;
  {
    fl::ProgressDisplay display(f.output(fl::ProgressMode::block));
    std::thread drawing([&] {
      for (fl::Version version = 0; version < 500; ++version) display.show(at_version(version % 10));
    });
    for (int i = 0; i < 500; ++i) display.print_above("a log line\n");
    drawing.join();
  }
  const auto& rows = f.screen.rows();
  REQUIRE(rows.size() == 506);
  CHECK(std::all_of(rows.begin(), rows.begin() + 500, [](const auto& row) { return row == "a log line"; }));
}

TEST_CASE("where stdout is no terminal, or progress is off, no block is drawn") {
  // Under a test runner stdout may be a terminal; --no-progress must win there too.
  CHECK(fl::standard_progress_output(false).mode == fl::ProgressMode::silent);
}
