#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mformer {

/// Tensors of an object, each with its name in there.
using NamedParts = std::vector<std::pair<std::string, at::Tensor>>;

/// The parts of one object after the other, each object's made on another thread while the caller works on those
/// before: reading and turning matrices beside hashing and writing them. Two objects at most are in memory.
///
/// The functions are called one at a time, in order; what one of them throws is thrown by next() at that object, and
/// none is called after it. The destructor waits for the call under way.
class PartsAhead {
 public:
  using Make = std::function<NamedParts()>;

  explicit PartsAhead(std::vector<Make> objects);
  ~PartsAhead();
  PartsAhead(const PartsAhead&) = delete;
  PartsAhead& operator=(const PartsAhead&) = delete;

  /// The next object's; as many calls as there are objects.
  NamedParts next();

 private:
  struct Made {
    NamedParts parts;
    std::exception_ptr error;
  };
  Made make(std::size_t i);
  void make_all();

  std::vector<Make> objects_;
  std::size_t taken_ = 0;  ///< Of the caller alone.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Made> made_;
  bool stopped_ = false;
  std::thread thread_;  ///< None where none can be had: then next() makes them.
};

}  // namespace mformer
