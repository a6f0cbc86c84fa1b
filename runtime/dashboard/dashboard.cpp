#include "runtime/dashboard/dashboard.hpp"

#include <httplib.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "runtime/dashboard/pages.hpp"
#include "runtime/dashboard/prometheus_text.hpp"
#include "runtime/network.hpp"

namespace fl {

namespace {

using Json = RunView::Json;

/// Pages that may stay open at once, and threads for what they ask beside.
constexpr int kMaxStreams = 16;
constexpr int kOtherThreads = 6;

/// Somebody is watching so long after a question.
constexpr std::int64_t kWatched_s = 5;

/// The first who asks for the clients waits so long, at most, until it is known where they are.
constexpr auto kFirstAnswer = std::chrono::milliseconds(1500);

constexpr auto kStreamPause = std::chrono::seconds(1);

/// A comment keeps a quiet stream from being cut by what is between.
constexpr int kQuietPauses = 10;

std::int64_t steady_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string text_of(const Json& json) {
  // Bytes that are no UTF-8 are replaced: names come from other machines.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void refuse(httplib::Response& response, int status, const std::string& why) {
  response.status = status;
  response.set_content(text_of({{"error", why}}), "application/json");
}

void answer(httplib::Response& response, const Result<Json>& json) {
  if (json)
    response.set_content(text_of(*json), "application/json");
  else
    refuse(response, 500, to_string(json.error()));
}

/// The number after which things are asked for; none: it is not one.
std::optional<std::uint64_t> after_in(const httplib::Request& request) {
  if (!request.has_param("after")) return 0;
  const auto text = request.get_param_value("after");
  auto value = std::uint64_t{0};
  const auto* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || last != end) return std::nullopt;
  return value;
}

/// In a time that does not depend on where they differ.
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  auto difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
  return difference == 0;
}

bool knows(const httplib::Request& request, const std::string& token) {
  constexpr std::string_view kBearer = "Bearer ";
  const auto said = request.get_header_value("Authorization");
  if (said.starts_with(kBearer) && same(std::string_view(said).substr(kBearer.size()), token)) return true;
  return request.has_param("token") && same(request.get_param_value("token"), token);
}

/// Without a token only this machine may ask, and a browser only for a page that was opened by this machine's
/// name: another site's name that points here is no reason to tell it anything.
bool asks_for_this_machine(const httplib::Request& request) {
  auto host = request.get_header_value("Host");
  if (const auto colon = host.rfind(':');
      colon != std::string::npos && host.find(']', colon) == std::string::npos)
    host.resize(colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return is_loopback_name(host);
}

/// What a stream has told.
struct Told {
  Version version = 0;
  std::uint64_t event = 0;
  std::string run;
  std::string clients;
  std::string staleness;
  int quiet = 0;
};

/// The events of one moment.
std::string news(RunView& view, Told& told) {
  auto text = std::string();
  const auto say = [&](const char* name, const std::string& json) {
    text += std::string("event: ") + name + "\ndata: " + json + "\n\n";
  };
  const auto say_changed = [&](const char* name, const Result<Json>& json, std::string& before) {
    if (!json) return;
    auto now = text_of(*json);
    if (now == before) return;
    say(name, now);
    before = std::move(now);
  };
  say_changed("run", view.run(), told.run);
  // The server may have gone back to an older version: what it makes again is news.
  if (const auto newest = view.newest_version()) {
    if (*newest < told.version) told.version = *newest > 0 ? *newest - 1 : 0;
    if (*newest > told.version)
      if (const auto versions = view.versions(told.version); versions && !versions->empty()) {
        say("versions", text_of(*versions));
        told.version = versions->back()["version"].get<Version>();
      }
  }
  say_changed("clients", view.clients(), told.clients);
  say_changed("staleness", view.staleness(), told.staleness);
  if (const auto events = view.events(told.event); events && !events->empty()) {
    say("events", text_of(*events));
    told.event = events->back()["id"].get<std::uint64_t>();
  }
  if (text.empty() && ++told.quiet < kQuietPauses) return text;
  told.quiet = 0;
  return text.empty() ? ": still here\n\n" : text;
}

}  // namespace

Dashboard::Dashboard(std::shared_ptr<RunView> view)
    : view_(std::move(view)), server_(std::make_unique<httplib::Server>()) {}

Dashboard::~Dashboard() {
  stopping_ = true;
  server_->stop();
  if (thread_.joinable()) thread_.join();
}

bool Dashboard::is_watched() const {
  return streams_ > 0 || steady_s() - asked_at_s_ < kWatched_s;
}

Result<std::unique_ptr<Dashboard>> Dashboard::start(const DashboardOptions& options,
                                                    std::shared_ptr<RunView> view) {
  if (!is_loopback_name(options.bind) && options.token.empty())
    return fail(ec::bad_config, "dashboard.bind = \"" + options.bind +
                                    "\" would show the run to other machines; it needs dashboard.token");
  auto dashboard = std::unique_ptr<Dashboard>(new Dashboard(std::move(view)));
  auto& server = *dashboard->server_;
  server.new_task_queue = [] { return new httplib::ThreadPool(kMaxStreams + kOtherThreads); };
  server.set_payload_max_length(0);
  // Not the library's default, which lets a second server share the port.
  server.set_socket_options([](socket_t socket) {
    const auto yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  dashboard->add_routes(options);
  auto port = static_cast<int>(options.port);
  const auto listens = options.port == 0 ? (port = server.bind_to_any_port(options.bind)) > 0
                                         : server.bind_to_port(options.bind, port);
  if (!listens)
    return fail(ec::io_failed,
                "the dashboard cannot listen at " + options.bind + ":" + std::to_string(options.port) +
                    ": the port is taken, or the address is not this machine's; --dashboard PORT "
                    "chooses another");
  const auto host = options.bind.find(':') == std::string::npos ? options.bind : "[" + options.bind + "]";
  dashboard->url_ = "http://" + host + ":" + std::to_string(port) + "/";
  dashboard->thread_ = std::thread([&server] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return dashboard;
}

void Dashboard::add_routes(const DashboardOptions& options) {
  auto& server = *server_;
  server.set_default_headers({{"Content-Security-Policy", "default-src 'self'"},
                              {"X-Content-Type-Options", "nosniff"},
                              {"Referrer-Policy", "no-referrer"},
                              {"Cache-Control", "no-store"}});
  server.set_pre_routing_handler(
      [token = options.token](const httplib::Request& request, httplib::Response& response) {
        using Handled = httplib::Server::HandlerResponse;
        if (request.method != "GET" && request.method != "HEAD") {
          response.set_header("Allow", "GET, HEAD");
          refuse(response, 405, "the dashboard only answers GET");
          return Handled::Handled;
        }
        if (!request.ranges.empty()) {
          refuse(response, 416, "the dashboard answers whole pages only");
          return Handled::Handled;
        }
        if (token.empty() && !asks_for_this_machine(request)) {
          refuse(response, 403, "without a token the dashboard answers to localhost only");
          return Handled::Handled;
        }
        // The page's own files hold no secret, and their links cannot carry the token.
        const auto guarded = request.path.starts_with("/api/") || request.path == "/metrics";
        if (guarded && !token.empty() && !knows(request, token)) {
          response.set_header("WWW-Authenticate", "Bearer");
          refuse(response, 401,
                 "a token is needed (dashboard.token): ?token=TOKEN or Authorization: Bearer TOKEN");
          return Handled::Handled;
        }
        return Handled::Unhandled;
      });
  server.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (response.status == 404 && response.body.empty()) refuse(response, 404, "there is no " + request.path);
  });

  const auto page = [&server](const char* path, std::string_view content, const char* type) {
    server.Get(path, [content, type](const httplib::Request&, httplib::Response& response) {
      response.set_content(content.data(), content.size(), type);
    });
  };
  page("/", pages::kHtml, "text/html; charset=utf-8");
  page("/page.css", pages::kStyle, "text/css; charset=utf-8");
  page("/page.js", pages::kScript, "text/javascript; charset=utf-8");
  page("/chart.js", pages::kChart, "text/javascript; charset=utf-8");
  server.Get("/favicon.ico",
             [](const httplib::Request&, httplib::Response& response) { response.status = 204; });

  const auto json = [this, &server](const char* path, auto make) {
    server.Get(path, [this, make](const httplib::Request& request, httplib::Response& response) {
      const auto after = after_in(request);
      if (!after) return refuse(response, 400, "after=" + request.get_param_value("after") + " is no number");
      answer(response, make(*view_, *after));
    });
  };
  json("/api/run", [](RunView& view, std::uint64_t) { return view.run(); });
  json("/api/config", [](RunView& view, std::uint64_t) { return Result<Json>(view.config()); });
  json("/api/versions", [](RunView& view, std::uint64_t after) { return view.versions(after); });
  json("/api/clients", [this](RunView& view, std::uint64_t) {
    asked_at_s_ = steady_s();
    view.await_whereabouts(kFirstAnswer);
    return view.clients();
  });
  json("/api/staleness", [](RunView& view, std::uint64_t) { return view.staleness(); });
  json("/api/events", [](RunView& view, std::uint64_t after) { return view.events(after); });
  server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    const auto counts = view_->counts();
    if (!counts) return refuse(response, 500, to_string(counts.error()));
    response.set_content(prometheus_text(*counts), "text/plain; version=0.0.4; charset=utf-8");
  });

  server.Get("/api/stream", [this](const httplib::Request&, httplib::Response& response) {
    if (++streams_ > kMaxStreams) {
      --streams_;
      return refuse(response, 503, "too many pages are open: " + std::to_string(kMaxStreams) + " at most");
    }
    auto told = std::make_shared<Told>();
    told->version = view_->newest_version().value_or(0);
    told->event = view_->newest_event();
    response.set_chunked_content_provider(
        "text/event-stream",
        [this, told, begun = false](std::size_t, httplib::DataSink& sink) mutable {
          if (!std::exchange(begun, true)) {
            constexpr std::string_view kBegin = "retry: 1000\n\n";
            return sink.write(kBegin.data(), kBegin.size());
          }
          for (auto waited = std::chrono::milliseconds(0); waited < kStreamPause && !stopping_;
               waited += std::chrono::milliseconds(100))
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
          if (stopping_) {
            sink.done();
            return true;
          }
          try {  // nothing above this would catch it
            const auto text = news(*view_, *told);
            return text.empty() || sink.write(text.data(), text.size());
          } catch (const std::exception& error) {
            spdlog::warn("a page's stream ended: {}", error.what());
            return false;
          }
        },
        [this](bool) { --streams_; });
  });
}

}  // namespace fl
