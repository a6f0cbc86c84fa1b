// The dashboard: a small web server about one run (docs/dashboard.md). It only reads.
//
//   browser ── GET /api/… ──▶ threads of the server ──▶ RunView ──▶ run.db
//                                                          ▲
//              node's main thread ── show(status) ─────────╯   about twice a second, while it works on the
//              run
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "runtime/dashboard/run_view.hpp"

namespace httplib {
class Server;
}

namespace fl {

class Dashboard {
 public:
  /// Listens and serves at once, on threads of its own. Fails with `io_failed` when the port is taken.
  static Result<std::unique_ptr<Dashboard>> start(const DashboardOptions& options,
                                                  std::shared_ptr<RunView> view);
  /// Streams end, too.
  ~Dashboard();
  Dashboard(const Dashboard&) = delete;
  Dashboard& operator=(const Dashboard&) = delete;

  RunView& view() { return *view_; }
  /// Where a browser finds it, without the token.
  const std::string& url() const { return url_; }
  /// Whether somebody has asked for the clients in the last seconds: then it is worth finding out where they
  /// are.
  bool is_watched() const;

 private:
  explicit Dashboard(std::shared_ptr<RunView> view);
  void add_routes(const DashboardOptions& options);

  std::shared_ptr<RunView> view_;
  std::unique_ptr<httplib::Server> server_;
  std::string url_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> streams_ = 0;
  std::atomic<std::int64_t> asked_at_s_ = -3600;  ///< for the clients, on the steady clock
  std::thread thread_;
};

}  // namespace fl
