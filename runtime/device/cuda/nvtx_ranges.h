// Spans (runtime/base/trace.h) as ranges of NVIDIA's tools: a profile of the GPU says under which unit a kernel was
// launched.
#pragma once

namespace tranche::cuda {

// From here on each span is a range of the domain "tranche", with its kind as category and its bytes as payload, if a
// tool listens. If none does, nothing changes, and a span costs what it did. More calls are none.
void show_spans_to_tools();

}  // namespace tranche::cuda
