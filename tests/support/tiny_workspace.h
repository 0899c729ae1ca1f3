#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/checkpoint/hub_model.h"
#include "core/text/bpe_trainer.h"
#include "core/workflows/init.h"
#include "core/workspace/session.h"
#include "core/workspace/version_store.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace mformer::testing {

/// The folder of a sample corpus: "english", "german", "code" or "qa". Few documents: nothing may be held out.
inline std::string sample(const std::string& name) {
  return (std::filesystem::path(MFORMER_TEST_DATA) / "sample" / name).string();
}

/// A workspace of its own with the tiny model "base" and a tokenizer of 300 tokens, learned from the English sample.
class TinyWorkspace {
 public:
  explicit TinyWorkspace(const std::string& gate_type = "mlp") : registry_(Registry::create(folder_.path())) {
    folder_.write("tokenizer.json", tokenizer().to_json());
    ModelConfig config = tiny_config(gate_type);
    config.vocab_size = tokenizer().vocab_size();
    config.bos_token_id = config.eos_token_id = tokenizer().end_of_text();
    Model model = tiny_model(config);
    HubWriteOptions write;
    write.tokenizer_path = folder_ / "tokenizer.json";
    save_hub_model(folder_ / "imported", model, write);
    InitOptions options;
    options.from = (folder_ / "imported").string();
    Session session = this->session("import");
    init_model(session, options);
  }

  Registry& registry() { return registry_; }
  const TemporaryFolder& folder() const { return folder_; }

  /// A session of the command `command`, as a process of its own would have it.
  Session session(const std::string& command, std::uint64_t seed = 1) {
    return {registry_, command, "{\"seed\":" + std::to_string(seed) + "}", seed, "test", {}};
  }

  /// A sample corpus with a document a line, so that every split has some: a file in this workspace.
  std::string corpus(const std::string& name) const {
    std::string lines;
    for (const auto& entry : list_corpus(sample(name)).files) {
      std::ifstream file(entry.path);
      for (std::string line; std::getline(file, line);) {
        if (line.size() > 20) lines += nlohmann::json{{"text", line}}.dump() + "\n";
      }
    }
    folder_.write(name + ".jsonl", lines);
    return (folder_ / (name + ".jsonl")).string();
  }

  /// Task `name` (by default named after the folder) with the data at `data`, recorded.
  TaskData add_task(const std::string& name, const std::string& data) {
    Session session = this->session("task add");
    TaskData task = open_task(session, tokenizer(), name, data);
    record_task(session, task, 0);
    return task;
  }

  /// A version by reference; by default what the current model points to.
  LoadedVersion load(const std::string& ref = "") { return load_version(registry_, registry_.resolve(ref)); }

  static const Tokenizer& tokenizer() {
    static const Tokenizer learned = [] {
      BpeTrainOptions options;
      options.vocab_size = 300;
      return train_bpe(sample("english"), options);
    }();
    return learned;
  }

 private:
  TemporaryFolder folder_;
  Registry registry_;
};

}  // namespace mformer::testing
