#include "compress/report.h"

#include <gmock/gmock.h>

#include <regex>

#include "compress/quantize_weights.h"
#include "compress/sparse_tensor.h"

namespace tranche::compress {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<ReportRow> three{{"runs/<dense>", "float32", 1000, 4000, 0, 2.0, 100},
                                   {"half.packed", "sparse", 1000, 2180, 0.5, 2.1, 90},
                                   {"int4.packed", "int4-weight", 1000, 640, 0.125, 2.5, 312}};

TEST(Report, HasARowAndAPointForEachModelAndNeedsNoOtherFile) {
  const std::string page = report_page("validation.h5", "byte", three);
  EXPECT_THAT(page, HasSubstr("<td>half.packed</td><td>sparse</td><td>1000</td><td>2180</td><td>54.5 %</td>"
                              "<td>17.44</td><td>50.0 %</td><td>2.1000</td><td>5.00 %</td><td>8.166</td><td>90</td>"));
  EXPECT_THAT(page, HasSubstr("runs/&lt;dense&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<dense>")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
  const std::regex point{"<circle cx=\"([0-9.]+)\" cy=\"([0-9.]+)\""};
  std::vector<std::pair<double, double>> points;
  for (std::sregex_iterator at{page.begin(), page.end(), point}, end; at != end; ++at)
    points.emplace_back(std::stod((*at)[1]), std::stod((*at)[2]));
  ASSERT_EQ(points.size(), 3u);
  EXPECT_GT(points[0].first, points[1].first);  // bytes to the right
  EXPECT_GT(points[1].first, points[2].first);
  EXPECT_GT(points[0].second, points[1].second);  // loss upwards
  EXPECT_GT(points[1].second, points[2].second);
  for (const auto& [x, y] : points) EXPECT_TRUE(x >= 80 && x <= 700 && y >= 20 && y <= 360) << x << ", " << y;
}

TEST(Report, OneModelAloneHasAxes) {
  const std::string page = report_page("v.h5", "token", {three[0]});
  EXPECT_THAT(page, HasSubstr("nats per token"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("inf")));
}

TEST(Report, CountsZerosInEveryForm) {
  std::vector<float> values(8 * 32);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 4 == 0 ? 0.0f : i % 4 == 1 ? -1.0f : 1.0f;
  values[3] = -0.0f;  // a zero as well, which sparse forms store
  const std::uint64_t zeros = values.size() / 4 + 1;
  for (const TensorForm form : {TensorForm::float32, TensorForm::float16, TensorForm::bfloat16, TensorForm::int8,
                                TensorForm::int4, TensorForm::int2})
    EXPECT_EQ(zeros_of(quantize_weight("w", {8, 32}, values, {form, 32})), zeros) << name_of(form);
  EXPECT_EQ(zeros_of(quantize_weight("w", {32, 8}, values, {TensorForm::int4, 32})), zeros);
  EXPECT_EQ(zeros_of(pack_sparse("w", {8, 32}, values)), zeros);
}

}  // namespace
}  // namespace tranche::compress
