#include "learning/worker_pool.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace fl {

// A job's way:
//
//   submit(normal) ─▶ waiting ──a place in the window──▶ ready ◀──not done──╮
//   submit(high) ────────────────────────────────────▶ urgent ──▶ running ──┴─done, thrown─▶ reported
//
// Each turn takes the first of `urgent`, else of `ready`, and puts it back at the end: equal jobs advance
// together. `cancel` takes a job out of any queue; a running one is dropped when its slice ends.

struct WorkerPool::State {
  struct Entry {
    JobId id;
    std::shared_ptr<Job> job;
    Done done;
    Priority priority;
    bool running = false;
    bool cancelled = false;
  };
  using EntryPtr = std::shared_ptr<Entry>;
  using Queue = std::deque<EntryPtr>;

  State(std::size_t window_size, std::chrono::milliseconds slice_length)
      : window(window_size), slice(slice_length) {}

  const std::size_t window;
  const std::chrono::milliseconds slice;

  std::mutex mutex;
  std::condition_variable turn;  ///< a job is there to run, or the pool is stopping
  bool stopping = false;
  JobId last_id = 0;
  std::map<JobId, EntryPtr> entries;  ///< all that are neither reported nor cancelled
  Queue waiting;
  Queue ready;
  Queue urgent;
  std::size_t admitted = 0;  ///< normal jobs that hold a place in the window

  std::vector<std::thread> threads;  ///< touched by the pool's constructor and destructor only

  Queue& queue_of(const Entry& entry) { return entry.priority == Priority::high ? urgent : ready; }

  void enqueue(EntryPtr entry) {
    auto& queue = queue_of(*entry);
    queue.push_back(std::move(entry));
    turn.notify_one();
  }

  void admit() {
    while (admitted < window && !waiting.empty()) {
      ++admitted;
      enqueue(std::move(waiting.front()));
      waiting.pop_front();
    }
  }

  void free_place_of(const Entry& entry) {
    if (entry.priority == Priority::high) return;
    --admitted;
    admit();
  }

  EntryPtr take() {
    auto& queue = urgent.empty() ? ready : urgent;
    auto entry = std::move(queue.front());
    queue.pop_front();
    return entry;
  }

  /// One worker, until the pool stops. Jobs and callbacks run, and end, without the lock.
  void work() {
    auto lock = std::unique_lock(mutex);
    for (;;) {
      turn.wait(lock, [this] { return stopping || !urgent.empty() || !ready.empty(); });
      if (stopping) return;
      auto entry = take();
      entry->running = true;
      lock.unlock();
      auto error = std::exception_ptr();
      bool ended = true;
      try {
        ended = entry->job->run_slice(std::chrono::steady_clock::now() + slice);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      entry->running = false;
      if (!ended && !entry->cancelled) {
        enqueue(std::move(entry));
        continue;
      }
      free_place_of(*entry);
      const bool report = !entry->cancelled;
      entries.erase(entry->id);
      lock.unlock();
      if (report && entry->done) entry->done(error);
      error = nullptr;
      entry.reset();
      lock.lock();
    }
  }
};

WorkerPool::WorkerPool(std::size_t workers, std::size_t window, std::chrono::milliseconds slice) {
  if (workers == 0) throw std::invalid_argument("WorkerPool: no workers");
  state_ = std::make_shared<State>(window > 0 ? window : 2 * workers, slice);
  for (std::size_t i = 0; i < workers; ++i) {
    // Each thread holds the state: the pool may be destroyed from within a callback.
    state_->threads.emplace_back([state = state_] { state->work(); });
  }
}

WorkerPool::~WorkerPool() {
  auto dropped = std::map<JobId, State::EntryPtr>();
  {
    const auto lock = std::scoped_lock(state_->mutex);
    state_->stopping = true;
    for (auto& [id, entry] : state_->entries) entry->cancelled = true;
    dropped.swap(state_->entries);
    state_->waiting.clear();
    state_->ready.clear();
    state_->urgent.clear();
  }
  state_->turn.notify_all();
  for (auto& thread : state_->threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

WorkerPool::JobId WorkerPool::submit(std::shared_ptr<Job> job, Done done, Priority priority) {
  const auto lock = std::scoped_lock(state_->mutex);
  const auto id = ++state_->last_id;
  auto entry = std::make_shared<State::Entry>(State::Entry{id, std::move(job), std::move(done), priority});
  state_->entries.emplace(id, entry);
  if (priority == Priority::high) {
    state_->enqueue(std::move(entry));
  } else {
    state_->waiting.push_back(std::move(entry));
    state_->admit();
  }
  return id;
}

void WorkerPool::cancel(JobId id) {
  auto entry =
      State::EntryPtr();  // outlives the lock: the job's destructor may be long, or come back to the pool
  const auto lock = std::scoped_lock(state_->mutex);
  const auto found = state_->entries.find(id);
  if (found == state_->entries.end()) return;
  entry = std::move(found->second);
  state_->entries.erase(found);
  entry->cancelled = true;
  if (entry->running) return;
  if (std::erase(state_->waiting, entry) > 0) return;
  std::erase(state_->queue_of(*entry), entry);
  state_->free_place_of(*entry);
}

std::size_t WorkerPool::workers() const {
  return state_->threads.size();
}

}  // namespace fl
