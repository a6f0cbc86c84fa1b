#include "runtime/logging.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/quantities.hpp"
#include "runtime/write_all.hpp"

namespace fl {
namespace {

constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 6> kLevels{{
    {"trace", spdlog::level::trace},
    {"debug", spdlog::level::debug},
    {"info", spdlog::level::info},
    {"warn", spdlog::level::warn},
    {"error", spdlog::level::err},
    {"off", spdlog::level::off},
}};

std::string_view name_of(spdlog::level::level_enum level) {
  for (const auto& [name, value] : kLevels) {
    if (value == level) return name;
  }
  return "error";  // spdlog's "critical", which we do not use
}

std::string_view color_of(std::string_view level) {
  if (level == "error") return "\x1b[31m";
  if (level == "warn") return "\x1b[33m";
  return "\x1b[2m";
}

long milliseconds_of(std::chrono::system_clock::time_point time) {
  return static_cast<long>(std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count() %
                           1000);
}

std::string formatted(const std::tm& time, const char* pattern) {
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), pattern, &time);
  return {text.data(), length};
}

/// Where log lines go while there is a LogRoute.
struct Route {
  std::mutex mutex;
  std::function<void(std::string_view)> writer;
  LogListener::Hear hear;
};

Route& route() {
  static Route instance;
  return instance;
}

void write_line(std::string_view line) {
  const std::scoped_lock lock(route().mutex);
  if (route().writer) {
    route().writer(line);
  } else {
    write_all(STDERR_FILENO, line);
  }
}

void tell_listener(std::chrono::system_clock::time_point time, std::string_view level,
                   std::string_view message) {
  const std::scoped_lock lock(route().mutex);
  if (route().hear) route().hear(time, level, message);
}

class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  LineSink(bool json, spdlog::level::level_enum least)
      : json_(json),
        least_(least),
        color_(::isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view level = name_of(message.level);
    const std::string_view text(message.payload.data(), message.payload.size());
    const auto time = std::chrono::time_point_cast<std::chrono::system_clock::duration>(message.time);
    if (message.level >= spdlog::level::info) tell_listener(time, level, text);
    if (message.level < least_) return;
    write_line(json_ ? json_log_line(time, level, text) : text_log_line(time, level, text, color_));
  }
  void flush_() override {}

 private:
  bool json_;
  spdlog::level::level_enum least_;  ///< that is written
  bool color_;
};

}  // namespace

Result<void> set_up_logging(const LogOptions& options) {
  for (const auto& [name, level] : kLevels) {
    if (name != options.level) continue;
    auto logger = std::make_shared<spdlog::logger>("fl", std::make_shared<LineSink>(options.json, level));
    logger->set_level(std::min(level, spdlog::level::info));
    spdlog::set_default_logger(std::move(logger));
    return {};
  }
  return fail(ec::bad_config, "log level \"" + printable(options.level) +
                                  "\" is none of trace, debug, info, warn, error, off");
}

LogRoute::LogRoute(std::function<void(std::string_view)> writer) {
  const std::scoped_lock lock(route().mutex);
  route().writer = std::move(writer);
}

LogRoute::~LogRoute() {
  const std::scoped_lock lock(route().mutex);
  route().writer = nullptr;
}

LogListener::LogListener(Hear hear) {
  const std::scoped_lock lock(route().mutex);
  route().hear = std::move(hear);
}

LogListener::~LogListener() {
  const std::scoped_lock lock(route().mutex);
  route().hear = nullptr;
}

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{}.{:03}Z", formatted(utc, "%Y-%m-%dT%H:%M:%S"), milliseconds_of(time));
}

std::string text_log_line(std::chrono::system_clock::time_point time, std::string_view level,
                          std::string_view message, bool color) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  // Continuation lines are indented, so that no message can look like another one.
  std::string body;
  for (std::size_t begin = 0; begin <= message.size();) {
    const std::size_t end = std::min(message.find('\n', begin), message.size());
    if (begin > 0) body += "\n  ";
    body += printable(message.substr(begin, end - begin));
    begin = end + 1;
  }
  const std::string shown = fmt::format("{:<5}", level);
  return fmt::format("{} {} {}\n", formatted(local, "%H:%M:%S"),
                     color ? fmt::format("{}{}\x1b[0m", color_of(level), shown) : shown, body);
}

std::string json_log_line(std::chrono::system_clock::time_point time, std::string_view level,
                          std::string_view message) {
  const nlohmann::ordered_json line{{"time", utc_text(time)}, {"level", level}, {"message", message}};
  // Bytes that are no UTF-8 are replaced: a peer's text must not stop the log.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace fl
