#include "core/checkpoint/gguf_file_writer.h"

#include "core/checkpoint/finite.h"
#include "core/checkpoint/gguf_elements.h"
#include "core/families/gguf_model.h"
#include "core/families/gguf_rotary.h"

namespace mformer {
namespace {

bool is_outside(const std::string& name) {
  return name == gguf_layout().embedding || name == gguf_layout().head;
}

GgufType written_type_of(const StoredTensor& tensor, GgufType wanted) {
  const bool is_router = tensor.name.ends_with(".ffn_gate_inp.weight");
  if (tensor.shape.size() < 2 || is_router) return GgufType::F32;
  const bool four_bits = wanted == GgufType::Q4_0 || wanted == GgufType::Q4_1;
  const GgufType type = four_bits && is_outside(tensor.name) ? GgufType::Q8_0 : wanted;
  return tensor.shape.back() % gguf_block(type).elements == 0 ? type : GgufType::F16;
}

/// The tensors of the layout, and after them the one that no parameter makes.
std::vector<GgufTensorInfo> gguf_infos_of(const std::vector<StoredTensor>& stored, const std::vector<float>& divisors,
                                          GgufType type) {
  std::vector<GgufTensorInfo> infos;
  for (const StoredTensor& tensor : stored) infos.push_back({tensor.name, tensor.shape, written_type_of(tensor, type)});
  if (!divisors.empty()) infos.push_back({"rope_freqs.weight", {static_cast<std::int64_t>(divisors.size())}});
  return infos;
}

/// Some rows at a time, so that their blocks stay small.
void sink_encoded(const at::Tensor& part, GgufType type, const ByteSink& sink) {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 20;
  const at::Tensor rows = part.view({-1, part.size(-1)});
  const std::int64_t at_once = std::max<std::int64_t>(1, kMostElements / std::max<std::int64_t>(1, rows.size(1)));
  const GgufBlock block = gguf_block(type);
  std::vector<std::byte> bytes;
  for (std::int64_t first = 0; first < rows.size(0); first += at_once) {
    const at::Tensor some = rows.narrow(0, first, std::min(at_once, rows.size(0) - first)).contiguous();
    bytes.resize(static_cast<std::size_t>(some.numel() / block.elements) * block.bytes);
    encode_gguf_blocks(type, {some.const_data_ptr<float>(), static_cast<std::size_t>(some.numel())}, bytes);
    sink(bytes);
  }
}

}  // namespace

void save_gguf_model(const std::filesystem::path& path, const ModelConfig& config, const ByParameter& parameter,
                     const GgufMetadata& metadata, GgufType type) {
  const std::vector<StoredTensor> stored = gguf_layout().tensors(config);
  const std::vector<float> divisors = gguf_rotary_divisors(config.form.rotary, config.head_size());
  const std::vector<GgufTensorInfo> infos = gguf_infos_of(stored, divisors, type);
  write_gguf(path, metadata, infos, [&](std::size_t i, const ByteSink& sink) {
    if (i == stored.size()) return sink(std::as_bytes(std::span(divisors)));
    const std::int64_t interleaved = gguf_interleaved_rows(config, stored[i].name);
    assemble_in_order(stored[i], parameter, at::kFloat, [&](const at::Tensor& part) {
      const bool wide = infos[i].type == GgufType::F32 || infos[i].type == GgufType::BF16;
      if (!wide) require_within(part, kMostOfFloat16, stored[i].name, gguf_type_name(infos[i].type));
      sink_encoded(with_interleaved_rows(part, interleaved).contiguous(), infos[i].type, sink);
    });
  });
}

}  // namespace mformer
