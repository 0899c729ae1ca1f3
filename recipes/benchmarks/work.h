#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// What the subcommands of mformer_model_benchmark do. Each prints one JSON line (report.h). Weights and tokens are
/// random: speed depends on sizes and routes only.
namespace mformer::benchmarks {

/// `train`: whole steps of core/training, as `mformer train` and `mformer extend` take them.
struct TrainWork {
  std::string preset = "base";
  std::int64_t vocabulary = 8192;
  std::int64_t context = 512;
  std::int64_t tokens_per_step = 2048;
  std::int64_t steps = 5;    ///< Measured ones …
  std::int64_t warm_up = 2;  ///< … after so many others.
  bool bfloat16 = false;
  /// {attention, feed-forward} modules added to each layer; all else is frozen. Empty = everything is trained.
  std::vector<std::int64_t> extend;
  std::vector<std::int64_t> modules;  ///< {attention, feed-forward} modules a layer; empty = as the preset.
  std::int64_t k = 0;                 ///< Chosen per token, of each kind; 0 = as the preset.
};
void run_train(const TrainWork& work);

/// The model that the other subcommands compute with.
struct ModelChoice {
  std::string geometry = "molm-350m-4b";  ///< A preset.
  std::int64_t layers = 0;                ///< 0 = as many as the preset has.
  double keep = 1;                        ///< Share of the modules of each kind that a pruned model has left.
  std::string dtype = "bfloat16";
  std::string from;  ///< A checkpoint folder to load instead; its dtype is converted.
};

/// `prefill`: the logits of all tokens of a batch of prompts. One sample a pass.
struct PrefillWork {
  ModelChoice model;
  std::int64_t batch = 4;
  std::int64_t tokens = 512;
  std::int64_t steps = 5;
  std::int64_t warm_up = 1;
  bool last_only = false;  ///< Logits of the last token alone.
};
void run_prefill(const PrefillWork& work);

/// `decode`: after a prompt, the likeliest token, so many times. One sample a token of each row. "floor" is the time in
/// seconds that reading the weights of one token takes at the bandwidth at which the same process reads all weights: at
/// batch 1 no step can be faster.
struct DecodeWork {
  ModelChoice model;
  std::int64_t batch = 1;
  std::int64_t prompt = 64;
  std::int64_t tokens = 32;
  std::int64_t warm_up = 4;
};
void run_decode(const DecodeWork& work);

/// `write`: a checkpoint folder for `from`.
struct WriteWork {
  ModelChoice model;
  std::string folder;
};
void run_write(const WriteWork& work);

/// `peaks`: what the machine reads and multiplies at best.
void run_peaks();

}  // namespace mformer::benchmarks
