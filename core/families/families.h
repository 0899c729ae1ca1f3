#pragma once

#include "core/families/family.h"

// One namespace a family, one line each in families.cpp.
namespace mformer {

class TensorTable;

// clang-format off
namespace moduleformer { extern const Family kFamily; }
namespace jetmoe { extern const Family kFamily; }
namespace mixtral { extern const Family kFamily; }
namespace granitemoeshared { extern const Family kFamily; }
namespace olmoe { extern const Family kFamily; }
namespace qwen2_moe { extern const Family kFamily; }
namespace mistral { extern const Family kFamily; }
namespace qwen3 { extern const Family kFamily; }
namespace native { extern const Family kFamily; }
// clang-format on

namespace granitemoe {
extern const Family kFamily;

/// What the family with a shared expert takes over.
void read(HubFields& hub, ModelConfig& config);
void write(const ModelConfig& config, nlohmann::json& hub);
void add_block(TensorTable& table, std::int64_t layer);
}  // namespace granitemoe

namespace qwen3_moe {
extern const Family kFamily;

/// Experts, dense layers between them; Qwen2's are written alike. `renormalise`: where the file is silent.
void read_mixture(HubFields& hub, ModelConfig& config, bool renormalise);
void write_mixture(const ModelConfig& config, nlohmann::json& hub);
}  // namespace qwen3_moe

namespace qwen2 {
extern const Family kFamily;

/// Qwen3's are spelled alike.
void read_windows(HubFields& hub, ModelConfig& config);
}  // namespace qwen2

namespace llama {
extern const Family kFamily;

/// What dense families share: attention heads and a feed-forward layer in slices. `default_head`: as
/// read_dense_attention().
void read_dense(HubFields& hub, ModelConfig& config, double default_eps, std::int64_t default_head = 0);
void write_dense(const ModelConfig& config, nlohmann::json& hub);
void dense_block(TensorTable& table, std::int64_t layer);
}  // namespace llama

}  // namespace mformer
