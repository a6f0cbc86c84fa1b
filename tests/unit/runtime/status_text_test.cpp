#include "runtime/status_text.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "runtime/quantities.hpp"

namespace {

fl::RunStatus training() {
  fl::RunStatus status;
  status.state = "training";
  status.strategy = "fedavg_async";
  status.version = 3;
  status.max_versions = 10;
  status.updates_accepted = 9;
  status.max_updates = 20;
  status.updates_per_s = 1.523;
  status.staleness_mean = 0.34;
  status.accuracy = 0.9712;
  status.loss = 0.0912;
  status.best_accuracy = 0.98;
  status.train_loss = 0.1203;
  status.clients_training = 2;
  status.clients_waiting = 1;
  status.elapsed_s = 83;
  status.remaining_s = 28.7;
  status.waited_for = "client-3";
  status.waited_s = 12;
  status.bytes_up = 12'300'000;
  status.bytes_down = 45'600;
  return status;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("durations, bytes and rates read well at every size") {
  CHECK(fl::duration_text(0) == "0.0 s");
  CHECK(fl::duration_text(9.94) == "9.9 s");
  CHECK(fl::duration_text(9.96) == "10 s");
  CHECK(fl::duration_text(59.7) == "1 min 00 s");
  CHECK(fl::duration_text(83) == "1 min 23 s");
  CHECK(fl::duration_text(3599.6) == "1 h 00 min");
  CHECK(fl::duration_text(7500) == "2 h 05 min");
  CHECK(fl::duration_text(86'399) == "1 d 0 h");
  CHECK(fl::duration_text(3 * 86'400 + 4 * 3'600) == "3 d 4 h");
  CHECK(fl::duration_text(-1) == "?");
  CHECK(fl::duration_text(std::numeric_limits<double>::infinity()) == "?");
  CHECK(fl::bytes_text(0) == "0 B");
  CHECK(fl::bytes_text(999) == "999 B");
  CHECK(fl::bytes_text(12'345) == "12.3 kB");
  CHECK(fl::bytes_text(999'960) == "1.00 MB");
  CHECK(fl::bytes_text(4'800'000'000) == "4.80 GB");
  CHECK(fl::bytes_text(std::numeric_limits<std::uint64_t>::max()) == "18.4 EB");
  CHECK(fl::rate_text(0.254) == "0.25");
  CHECK(fl::rate_text(15.23) == "15.2");
  CHECK(fl::rate_text(1523) == "1523");
  CHECK(fl::percent_text(0.97314) == "97.31 %");
  CHECK(fl::counted(1, "restart") == "1 restart");
  CHECK(fl::counted(2, "restart") == "2 restarts");
  CHECK(fl::columns_of("a·█") == 3);
}

TEST_CASE("the bar goes to the nearest goal") {
  fl::RunStatus status;
  CHECK_FALSE(fl::progress_of(status));
  status.max_versions = 10;
  status.version = 3;
  CHECK(*fl::progress_of(status) == doctest::Approx(0.3));
  status.max_updates = 20;
  status.updates_accepted = 9;
  CHECK(*fl::progress_of(status) == doctest::Approx(0.45));
  status.elapsed_s = 60;
  status.remaining_s = 40;
  CHECK(*fl::progress_of(status) == doctest::Approx(0.6));
  status.updates_accepted = 25;
  CHECK(*fl::progress_of(status) == doctest::Approx(1.0));
}

TEST_CASE("the block says everything on an ordinary terminal") {
  const auto lines = fl::block_lines(training(), {100, false, false});
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] == "training | fedavg_async | 1 min 23 s | about 29 s left");
  CHECK(lines[1] == "#############################...........   74 % | version 3/10 | updates 9/20");
  CHECK(lines[2] == "accuracy 97.12 % (best 98.00 %) | loss 0.0912 | train loss 0.1203");
  CHECK(lines[3] == "clients: 2 training, 1 waiting, 0 lost | 1.52 updates/s | staleness 0.3");
  CHECK(lines[4] == "waiting 12 s for client-3 | up 12.3 MB | down 45.6 kB");
}

TEST_CASE("restarts and refused updates appear once there are some") {
  fl::RunStatus status = training();
  CHECK_FALSE(holds(joined(fl::block_lines(status, {100, false, false})), "restart"));
  CHECK_FALSE(holds(joined(fl::block_lines(status, {100, false, false})), "rejected"));
  status.restarts = 2;
  status.updates_rejected = 4;
  CHECK(holds(joined(fl::block_lines(status, {100, false, false})), "2 restarts"));
  CHECK(holds(joined(fl::block_lines(status, {100, false, false})), "4 rejected"));
}

TEST_CASE("no line is wider than the terminal, and the block keeps its height") {
  fl::RunStatus status = training();
  status.restarts = 3;
  status.updates_rejected = 7;
  status.waited_for = std::string(300, 'x');
  for (const bool unicode : {false, true}) {
    for (std::size_t columns = 1; columns <= 200; ++columns) {
      const auto lines = fl::block_lines(status, {columns, false, unicode});
      REQUIRE(lines.size() == 5);
      for (const std::string& line : lines) CHECK(fl::columns_of(line) <= columns);
    }
  }
}

TEST_CASE("colours change nothing but the colour") {
  const fl::RunStatus status = training();
  CHECK(holds(joined(fl::block_lines(status, {80, true, true})), "\x1b[33mwaiting 12 s for client-3\x1b[0m"));
  CHECK_FALSE(holds(joined(fl::block_lines(status, {80, false, true})), "\x1b"));
}

TEST_CASE("a run before its first version claims nothing") {
  fl::RunStatus status;
  status.state = "waiting for clients";
  status.waited_for = "3 more clients";
  status.waited_s = 4;
  const std::string text = joined(fl::block_lines(status, {80, false, false}));
  CHECK(holds(text, "accuracy: none yet"));
  CHECK(holds(text, "waiting 4.0 s for 3 more clients"));
  CHECK_FALSE(holds(text, "loss"));
  CHECK_FALSE(holds(text, "left"));
}

TEST_CASE("a plain line has the same keys always") {
  CHECK(fl::plain_line(training()) ==
        "progress version=3/10 updates=9/20 rejected=0 accuracy=0.9712 best=0.9800 loss=0.0912 "
        "train_loss=0.1203 updates_per_s=1.52 staleness=0.34 training=2 waiting=1 lost=0 elapsed_s=83.0 "
        "left_s=28.7 bytes_up=12300000 bytes_down=45600 restarts=0 waited_s=12.0 waiting_for=\"client-3\" "
        "state=\"training\"");
  CHECK(
      fl::plain_line({}) ==
      "progress version=0 updates=0 rejected=0 accuracy=- best=- loss=- train_loss=- updates_per_s=0.00 "
      "staleness=0.00 training=0 waiting=0 lost=0 elapsed_s=0.0 left_s=- bytes_up=0 bytes_down=0 restarts=0 "
      "waited_s=- waiting_for=- state=\"\"");
}

TEST_CASE("what a peer calls itself cannot steer the terminal") {
  fl::RunStatus status = training();
  status.waited_for = "x\x1b[2J\n\"y";
  status.state = "a\rb";
  const std::string text = fl::plain_line(status) + joined(fl::block_lines(status, {200, false, true}));
  CHECK_FALSE(holds(text, "\x1b"));
  CHECK_FALSE(holds(text, "\r"));
  CHECK(holds(text, "waiting_for=\"x?[2J?'y\""));
  CHECK_FALSE(holds(fl::status_text(status), "\x1b"));
}

TEST_CASE("status for people") {
  const std::string text = fl::status_text(training());
  CHECK(holds(text, "state     training, 74 % done\n"));
  CHECK(holds(text, "version   3/10\n"));
  CHECK(holds(text, "updates   9/20 accepted, 0 rejected, 1.52 a second\n"));
  CHECK(holds(text, "accuracy  97.12 %, best 98.00 %, loss 0.0912\n"));
  CHECK(holds(text, "clients   2 training, 1 waiting, 0 lost\n"));
  CHECK(holds(text, "waiting   12 s for client-3\n"));
  CHECK(holds(fl::status_text({}), "waiting   for nobody\n"));
  CHECK(holds(fl::status_text({}), "accuracy  not measured yet\n"));
}
