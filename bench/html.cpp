#include <nlohmann/json.hpp>

#include "complaint.h"
#include "report.h"
#include "report_html.h"

namespace evr_bench {

std::string to_html(const nlohmann::ordered_json &results) {
  const std::string page(reinterpret_cast<const char *>(report_html), sizeof report_html);
  const std::string mark = "\"EVRISIM_BENCH_RESULTS\"";
  const size_t place = page.find(mark);
  if (place == std::string::npos) throw Complaint("report.html has no place for the results.");
  // "</script>" inside a string would end the element that holds the data; "<\/" is the same JSON.
  std::string data = json_text(results, -1);
  for (size_t i = data.find("</"); i != std::string::npos; i = data.find("</", i + 3))
    data.replace(i, 2, "<\\/");
  return page.substr(0, place) + data + page.substr(place + mark.size());
}

}  // namespace evr_bench
