// Files of input ranges.
#include <cmath>

#include "compress/calibration.h"
#include "runtime/base/checksum.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"

namespace tranche::compress {
namespace {

constexpr const char* format = "tranche ranges";
constexpr std::int64_t version = 1;

std::string checksum_of(const Json& ranges) {
  Checksum checksum;
  checksum.add(ranges.dump());
  return checksum.hex();
}

}  // namespace

void write_ranges(const std::filesystem::path& path, const InputRanges& ranges, RangeMethod method) {
  Json list = Json::object();
  for (const auto& [weight, range] : ranges) list[weight] = {double{range.low}, double{range.high}};
  const Json file{{"format", format},
                  {"version", version},
                  {"method", name_of(method)},
                  {"checksum", checksum_of(list)},
                  {"ranges", list}};
  write_small_file(path, file.dump(1) + "\n");
}

InputRanges read_ranges(const std::filesystem::path& path) {
  const std::string where = path.string();
  std::error_code error;
  ensure(Exit::data, std::filesystem::is_regular_file(path, error), where,
         ": there is no such file of ranges; `tranche calibrate` makes one");
  const Json file = parse_json(read_small_file(path), where, Exit::data);
  ensure(Exit::data, member<std::string>(file, "format", where, Exit::data) == format, where, ": not a file of ranges");
  const auto found = member<std::int64_t>(file, "version", where, Exit::data);
  ensure(Exit::data, found == version, where, ": version ", found, ", this program reads version ", version);
  const Json list = member<Json>(file, "ranges", where, Exit::data);
  ensure(Exit::data, list.is_object() && !list.empty(), where, ": no ranges in it");
  InputRanges ranges;
  for (const auto& [weight, ends] : list.items()) {
    ensure(Exit::data, ends.is_array() && ends.size() == 2 && ends[0].is_number() && ends[1].is_number(), where, ": ",
           weight, ": the range is ", ends.dump(), ", expected two numbers");
    const Range range{ends[0].get<float>(), ends[1].get<float>()};
    ensure(Exit::data, std::isfinite(range.low) && std::isfinite(range.high) && range.low <= range.high, where, ": ",
           weight, ": the range is ", ends.dump(), ", expected two finite numbers that rise");
    ranges[weight] = range;
  }
  ensure(Exit::data, member<std::string>(file, "checksum", where, Exit::data) == checksum_of(list), where,
         ": its checksum differs: it was changed or damaged; calibrate again");
  return ranges;
}

}  // namespace tranche::compress
