#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/parallel/process_group.h"
#include "core/training/adamw.h"

namespace mformer {

/// Adds up the gradients of trained parameters over processes, and of nothing else: what is frozen never travels. They
/// go in buckets of some megabytes, the parameters in the reverse of their order, which is about how the backward pass
/// finishes them: a bucket leaves as soon as all of its gradients are there and those before it have left, while the
/// pass goes on.
class GradientSums {
 public:
  /// Without a group nothing happens. `bucket_bytes`: a bucket is closed once it holds so many.
  GradientSums(ProcessGroup* group, const std::vector<TrainedParameter>& parameters,
               std::int64_t bucket_bytes = std::int64_t{4} << 20);
  /// Takes its hooks off the parameters.
  ~GradientSums();
  GradientSums(const GradientSums&) = delete;
  GradientSums& operator=(const GradientSums&) = delete;

  /// Before the backward pass that is the last of a step: from then on gradients leave.
  void begin();
  /// After it: every parameter's grad() is the sum over processes, in the parameter's dtype and place, until the next
  /// begin(). One that has none here counts as zeros. Throws ProcessError.
  void finish();

 private:
  struct Bucket;
  struct Hook;
  void arrived(std::size_t parameter);
  void send_complete();
  void send(Bucket& bucket);

  ProcessGroup* group_;
  std::vector<at::Tensor> parameters_;
  std::vector<Bucket> buckets_;
  std::vector<std::size_t> bucket_of_;
  std::size_t next_ = 0;  ///< The bucket that leaves next: one order on all processes.
  bool leaving_ = false;
};

}  // namespace mformer
