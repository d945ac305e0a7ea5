// A kernel as it must not be: it calls an inline function that any other object may define too.
namespace tranche::ops {

[[gnu::noinline]] inline float twice(float x) { return x + x; }

namespace planted {

float kernel(float x) { return twice(x); }

}  // namespace planted
}  // namespace tranche::ops
