#include "launcher/store_logits.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "compress/stored_logits.h"
#include "launcher/ranks.h"
#include "launcher/teacher.h"
#include "runtime/base/round.h"
#include "runtime/train/batches.h"

namespace tranche {
namespace {

template <class T> void add_bytes(std::string& text, const std::vector<T>& values) {
  text.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}
template <class T> std::vector<T> take_values(std::string_view& text, std::size_t count) {
  std::vector<T> values(count);
  check(text.size() >= count * sizeof(T), "a rank sent ", text.size(), " bytes of logits");
  std::memcpy(values.data(), text.data(), count * sizeof(T));
  text.remove_prefix(count * sizeof(T));
  return values;
}

// To the rank that writes: values, and where not all are kept classes and rest.
std::string message_of(const compress::GreatestLogits& logits) {
  std::string text;
  add_bytes(text, logits.values);
  add_bytes(text, logits.classes);
  add_bytes(text, logits.rest);
  return text;
}
// The first `tokens` of them, of a message about `sent` tokens.
compress::GreatestLogits from_message(std::string_view text, std::size_t sent, std::size_t tokens, std::size_t kept) {
  const bool all = text.size() == sent * kept * sizeof(float);
  compress::GreatestLogits logits{.values = take_values<float>(text, sent * kept), .classes = {}, .rest = {}};
  if (!all) {
    logits.classes = take_values<std::uint32_t>(text, sent * kept);
    logits.rest = take_values<float>(text, sent);
    logits.classes.resize(tokens * kept);
    logits.rest.resize(tokens);
  }
  logits.values.resize(tokens * kept);
  return logits;
}

}  // namespace

void store_logits(const Job& job, const TokenFile& tokens, std::size_t kept, const std::filesystem::path& output,
                  Communicator& world, const Memory& memory) {
  Teachers teachers{job, nullptr, world, memory, ""};
  const compress::LogitsOrigin origin{.teacher = teachers.load(),
                                      .data = tokens.sha256(),
                                      .tokenizer = tokens.tokenizer(),
                                      .samples = count_samples(tokens, job.data.sequence_length),
                                      .sequence_length = job.data.sequence_length,
                                      .classes = job.model_config.vocabulary};
  std::unique_ptr<compress::LogitsWriter> writer;
  together(world, "logits", [&] {
    if (world.rank() != 0) return;
    const DType dtype = job.distillation.teachers.size() == 1 ? job.distillation.precision : DType::float32;
    writer = std::make_unique<compress::LogitsWriter>(output, origin, dtype, kept);
  });
  const std::size_t each = job.batch.micro_batch_size;
  const SequentialOrder order{origin.samples, each};
  const std::uint64_t count = order.micro_batches(), ranks = world.size();
  for (std::uint64_t round = 0; round < pieces_of(count, ranks); ++round) {
    const std::uint64_t number = std::min(round * ranks + world.rank(), count - 1);
    std::vector<std::uint64_t> samples = order.samples_of(number);
    samples.resize(each, samples.back());  // the last micro-batch has the job's shape too
    const MicroBatch micro = read_tensors(tokens, samples, origin.sequence_length, number, memory.device);
    Taps none;
    const Tensor logits = teachers.source().logits(micro, none);
    std::string mine;
    together(world, "logits", [&] { mine = message_of(compress::greatest_logits(logits, kept)); });
    const std::vector<std::string> messages = world.gather_text(mine, "teacher's logits");
    together(world, "logits", [&] {
      if (!writer) return;
      for (std::uint64_t rank = 0; rank < ranks && round * ranks + rank < count; ++rank)
        writer->append(from_message(messages[rank], each * origin.sequence_length,
                                    order.samples_of(round * ranks + rank).size() * origin.sequence_length, kept));
    });
  }
  together(world, "logits", [&] {
    if (writer) writer->finish();
  });
}

}  // namespace tranche
