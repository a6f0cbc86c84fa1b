#include "learning/ahead_pool.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fl {

// A job's way:
//
//   submit ─▶ waiting ──first in the order of due, and a place in the window; or wanted──▶ running ─▶ done
//                                                                                    finish ◀──────────╯

namespace {

/// Enough that nobody stands still while the clock waits for one long job.
constexpr std::size_t kWindowPerWorker = 8;

/// How long a cancelled job may go on.
constexpr auto kSlice = std::chrono::milliseconds(100);

}  // namespace

struct AheadPool::State {
  enum class Stage : std::uint8_t { waiting, running, done };

  struct Entry {
    std::shared_ptr<Job> job;
    TimePoint due;
    Stage stage = Stage::waiting;
    bool cancelled = false;
    std::exception_ptr error = nullptr;
  };
  using Place = std::pair<TimePoint, JobId>;

  explicit State(std::size_t window_size) : window(window_size) {}

  const std::size_t window;
  std::mutex mutex;
  std::condition_variable work_to_do;
  std::condition_variable work_done;
  bool stopping = false;
  JobId last_id = 0;
  std::unordered_map<JobId, Entry> entries;
  std::set<Place> waiting;
  std::size_t held = 0;         ///< running or done, and not finished
  std::optional<JobId> wanted;  ///< somebody waits for it
  std::vector<std::thread> threads;

  bool is_wanted_waiting() const {
    if (!wanted) return false;
    const auto found = entries.find(*wanted);
    return found != entries.end() && found->second.stage == Stage::waiting;
  }

  bool may_begin() const { return !waiting.empty() && (held < window || is_wanted_waiting()); }

  /// The lock is held before and after, not meanwhile.
  std::exception_ptr run(std::unique_lock<std::mutex>& lock, const Entry& entry) {
    auto error = std::exception_ptr();
    auto ended = false;
    while (!ended && !entry.cancelled && !stopping) {
      lock.unlock();
      try {
        ended = entry.job->run_slice(std::chrono::steady_clock::now() + kSlice);
      } catch (...) {
        error = std::current_exception();
        ended = true;
      }
      lock.lock();
    }
    return error;
  }

  void work() {
    auto lock = std::unique_lock(mutex);
    for (;;) {
      work_to_do.wait(lock, [this] { return stopping || may_begin(); });
      if (stopping) return;
      const auto id = is_wanted_waiting() ? *wanted : waiting.begin()->second;
      auto& entry = entries.at(id);
      waiting.erase({entry.due, id});
      entry.stage = Stage::running;
      ++held;
      auto error = run(lock, entry);
      if (entry.cancelled || stopping) {
        forget(id, lock);
      } else {
        entry.error = std::move(error);
        entry.stage = Stage::done;
      }
      work_done.notify_all();
    }
  }

  /// Of one that ran. The job itself goes without the lock: it may hold much.
  void forget(JobId id, std::unique_lock<std::mutex>& lock) {
    auto node = entries.extract(id);
    --held;
    if (!threads.empty()) work_to_do.notify_one();
    lock.unlock();
    node = {};
    lock.lock();
  }
};

AheadPool::AheadPool(std::size_t workers, std::size_t window) {
  state_ = std::make_unique<State>(window > 0 ? window : kWindowPerWorker * workers);
  for (std::size_t i = 0; i < workers; ++i)
    state_->threads.emplace_back([state = state_.get()] { state->work(); });
}

AheadPool::~AheadPool() {
  {
    const auto lock = std::scoped_lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work_to_do.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

AheadPool::JobId AheadPool::submit(std::shared_ptr<Job> job, TimePoint due) {
  const auto lock = std::scoped_lock(state_->mutex);
  const auto id = ++state_->last_id;
  state_->entries.emplace(id, State::Entry{std::move(job), due});
  if (state_->threads.empty()) return id;
  state_->waiting.emplace(due, id);
  state_->work_to_do.notify_one();
  return id;
}

std::exception_ptr AheadPool::finish(JobId id) {
  auto lock = std::unique_lock(state_->mutex);
  const auto found = state_->entries.find(id);
  if (found == state_->entries.end() || found->second.cancelled)
    return std::make_exception_ptr(std::logic_error("AheadPool: no such job"));
  auto& entry = found->second;
  if (state_->threads.empty()) {
    ++state_->held;
    auto error = state_->run(lock, entry);
    state_->forget(id, lock);
    return error;
  }
  if (entry.stage != State::Stage::done) {
    state_->wanted = id;
    state_->work_to_do.notify_one();
    state_->work_done.wait(lock, [&] { return entry.stage == State::Stage::done; });
    state_->wanted.reset();
  }
  auto error = std::move(entry.error);
  state_->forget(id, lock);
  return error;
}

void AheadPool::cancel(JobId id) {
  auto dropped = std::unordered_map<JobId, State::Entry>::node_type();  // outlives the lock
  const auto lock = std::scoped_lock(state_->mutex);
  const auto found = state_->entries.find(id);
  if (found == state_->entries.end()) return;
  switch (found->second.stage) {
    case State::Stage::waiting:
      state_->waiting.erase({found->second.due, id});
      break;
    case State::Stage::running:
      found->second.cancelled = true;
      return;
    case State::Stage::done:
      --state_->held;
      state_->work_to_do.notify_one();
      break;
  }
  dropped = state_->entries.extract(found);
}

std::size_t AheadPool::workers() const {
  return state_->threads.size();
}

}  // namespace fl
