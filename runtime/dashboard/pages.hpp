// The files of the page, as they were when the program was built (runtime/dashboard/CMakeLists.txt).
#pragma once

#include <string_view>

namespace fl::pages {

extern const std::string_view kHtml;
extern const std::string_view kStyle;
extern const std::string_view kScript;
extern const std::string_view kChart;  ///< Chart.js

}  // namespace fl::pages
