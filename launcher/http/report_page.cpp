#include "launcher/http/page.h"

namespace tranche {

std::string report_page(const Json& runs) {
  // Nothing in it can end the element that it stands in.
  std::string data;
  for (const char c : runs.dump(-1, ' ', false, Json::error_handler_t::replace))
    data += c == '<' ? std::string{"\\u003c"} : std::string(1, c);
  constexpr std::string_view place = "id=\"data\">null<";
  std::string page{live_page()};
  const std::size_t at = page.find(place);
  check(at != page.npos, "page.html has no place for data");
  return page.replace(at + place.size() - 5, 4, data);
}

}  // namespace tranche
