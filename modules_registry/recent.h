#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>

namespace mformer {

/// The values that were asked for lately: between `size` and twice as many of them.
template <class Key, class Value>
class Recent {
 public:
  explicit Recent(std::size_t size) : size_(size) {}

  /// What make(key) gives, unless it is known. The reference is good until the next but `size` calls.
  template <class Make>
  const Value& get(const Key& key, Make make) {
    if (const auto found = young_.find(key); found != young_.end()) return found->second;
    const auto known = old_.find(key);
    Value value = known == old_.end() ? make(key) : std::move(known->second);
    if (known != old_.end()) old_.erase(known);
    if (young_.size() >= size_) old_ = std::exchange(young_, {});
    return young_.emplace(key, std::move(value)).first->second;
  }

 private:
  std::size_t size_;
  std::unordered_map<Key, Value> young_, old_;
};

}  // namespace mformer
