// GET /metrics: the run in the text format of Prometheus.
#pragma once

#include <string>

#include "runtime/dashboard/run_view.hpp"

namespace fl {

/// Names and units as Prometheus has them: fl_actor_…_total, _seconds, _bytes, _ratio; and those of the
/// process.
std::string prometheus_text(const RunView::Counts& counts);

}  // namespace fl
