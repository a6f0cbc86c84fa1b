#include "runtime/dashboard/prometheus_text.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>

#include <limits>
#include <utility>
#include <vector>

#include "runtime/summary.hpp"

namespace fl {

namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

class Families {
 public:
  /// Begins one; what is added next belongs to it.
  Families& begin(prometheus::MetricType type, std::string name, std::string help) {
    families_.push_back({std::move(name), std::move(help), type, {}});
    return *this;
  }

  Families& add(double value, Labels labels = {}) {
    auto metric = prometheus::ClientMetric();
    metric.label = std::move(labels);
    if (families_.back().type == prometheus::MetricType::Counter)
      metric.counter.value = value;
    else
      metric.gauge.value = value;
    families_.back().metric.push_back(std::move(metric));
    return *this;
  }

  void gauge(std::string name, std::string help, double value) {
    begin(prometheus::MetricType::Gauge, std::move(name), std::move(help)).add(value);
  }
  void counter(std::string name, std::string help, double value) {
    begin(prometheus::MetricType::Counter, std::move(name), std::move(help)).add(value);
  }

  /// `counts`: of the values 0, 1, …; the last counts all above too.
  void histogram(std::string name, std::string help, const std::vector<std::uint64_t>& counts, double sum) {
    auto metric = prometheus::ClientMetric();
    auto below = std::uint64_t{0};
    for (std::size_t value = 0; value < counts.size(); ++value) {
      below += counts[value];
      const auto last = value + 1 == counts.size();
      const auto power = (value & (value + 1)) == 0;  // 0, 1, 3, 7, 15: few enough to be kept by the month
      if (!last && power) metric.histogram.bucket.push_back({below, static_cast<double>(value)});
    }
    metric.histogram.bucket.push_back({below, std::numeric_limits<double>::infinity()});
    metric.histogram.sample_count = below;
    metric.histogram.sample_sum = sum;
    families_.push_back(
        {std::move(name), std::move(help), prometheus::MetricType::Histogram, {std::move(metric)}});
  }

  const std::vector<prometheus::MetricFamily>& all() const { return families_; }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace

std::string prometheus_text(const RunView::Counts& counts) {
  using prometheus::MetricType;
  auto families = Families();
  families.begin(MetricType::Gauge, "fl_actor_build_info", "The program, as a label; always 1.")
      .add(1, {{"version", FL_VERSION}});
  families.begin(MetricType::Counter, "fl_actor_updates_rejected_total",
                 "Updates that were refused, by reason.");
  for (const auto& [reason, count] : counts.rejected)
    families.add(static_cast<double>(count), {{"reason", reason}});
  families.histogram("fl_actor_staleness_versions", "Versions that accepted updates were behind.",
                     counts.staleness, counts.staleness_sum);
  if (counts.status) {
    const auto& s = *counts.status;
    families.gauge("fl_actor_version", "The newest version of the model.", static_cast<double>(s.version));
    families.counter("fl_actor_updates_accepted_total", "Updates that were folded into the model.",
                     static_cast<double>(s.updates_accepted));
    families.begin(MetricType::Gauge, "fl_actor_clients", "Clients by what they do.")
        .add(s.clients_training, {{"state", "training"}})
        .add(s.clients_waiting, {{"state", "waiting"}})
        .add(s.clients_lost, {{"state", "lost"}})
        .add(s.clients_quarantined, {{"state", "quarantined"}});
    families.gauge("fl_actor_ready", "1 when clients can be given work.", s.not_ready.empty() ? 1 : 0);
    if (s.accuracy >= 0) {
      families.gauge("fl_actor_accuracy_ratio", "Accuracy of the newest version that was evaluated.",
                     s.accuracy);
      families.gauge("fl_actor_loss", "Loss of the newest version that was evaluated.", s.loss);
      families.gauge("fl_actor_best_accuracy_ratio", "Best accuracy of any version.", s.best_accuracy);
    }
    if (s.version > 0)
      families.gauge("fl_actor_train_loss", "Mean loss that clients trained with.", s.train_loss);
    families.counter("fl_actor_received_bytes_total", "Bytes of updates from clients.",
                     static_cast<double>(s.bytes_up));
    families.counter("fl_actor_sent_bytes_total", "Bytes of models to clients.",
                     static_cast<double>(s.bytes_down));
    families.counter("fl_actor_restarts_total", "Actors that crashed and were restarted.",
                     static_cast<double>(s.restarts));
    families.counter("fl_actor_run_seconds_total", "Time of the run, resumes included.", s.elapsed_s);
  }
  auto used = rusage();
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  families.counter("process_cpu_seconds_total", "CPU time of the process.",
                   seconds(used.ru_utime) + seconds(used.ru_stime));
  families.gauge("fl_actor_peak_resident_memory_bytes", "Most memory that the process had.",
                 static_cast<double>(peak_rss_bytes()));
  return prometheus::TextSerializer().Serialize(families.all());
}

}  // namespace fl
