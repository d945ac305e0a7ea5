// Keys and values of the tokens that a model has seen of one text, so that a token more costs one token.
#pragma once

#include <map>

#include "runtime/ops/attention.h"

namespace tranche {

class Attention;

// Memory: 2 * capacity * groups * head_width float32 for each attention that used it. One thread at a time.
class KeyValueCache {
 public:
  // capacity: tokens; a longer text is an error.
  KeyValueCache(Device& device, std::size_t capacity) : device_(device), capacity_(capacity) {}

  // Within a scope the attentions of this thread use this cache, and tokens are those behind what it holds.
  class Use {
   public:
    explicit Use(KeyValueCache& cache) : before_(current_) { current_ = &cache; }
    ~Use() { current_ = before_; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    KeyValueCache* before_;
  };
  static KeyValueCache* current() { return current_; }  // null: none is in use
  static std::size_t held() { return current_ == nullptr ? 0 : current_->tokens_; }

  // The result of one attention for new tokens, whose keys and values it keeps.  qkv: (1, sequence, qkv_width)
  Tensor attend(const Attention& attention, const Tensor& qkv, const ops::AttentionShape& shape);
  void grow(std::size_t tokens) { tokens_ += tokens; }  // once every attention has kept them
  void clear() { tokens_ = 0; }

 private:
  Device& device_;
  std::size_t capacity_, tokens_ = 0;
  std::map<const Attention*, ops::KeysAndValues> kept_;
  static thread_local KeyValueCache* current_;
};

}  // namespace tranche
