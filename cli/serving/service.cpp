#include "cli/serving/service.h"

#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "cli/interrupt.h"
#include "cli/serving/endpoints.h"
#include "core/formats/input_file.h"
#include "core/workflows/generate.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookForSignal{50};
constexpr std::chrono::seconds kLastWords{1};
constexpr std::int64_t kDay = 86400;
constexpr std::size_t kLongestToken = 4096;

void refuse_unless(bool holds, const std::string& what, const std::string& hint) {
  if (!holds) throw UsageError(what, hint);
}

/// The token of the file or the environment; empty where there is none.
std::string token_of(const ServeOptions& options) {
  const char* variable = std::getenv("MFORMER_TOKEN");
  std::string token = variable == nullptr ? "" : variable;
  if (!options.token_file.empty()) token = read_bounded_file(options.token_file, kLongestToken, "a token");
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  for (const char c : token) {
    refuse_unless(c > ' ' && c < 127, "the token has a character that no header can bring",
                  "take letters and digits, such as those of: openssl rand -hex 16");
  }
  refuse_unless(options.token_file.empty() || !token.empty(), "'" + options.token_file + "' has no token in it",
                "make one: openssl rand -hex 16");
  return token;
}

WebOptions web_options(const ServeOptions& options) {
  WebOptions web;
  web.host = options.host, web.port = options.port, web.token = token_of(options);
  web.limits.connections = static_cast<std::size_t>(options.max_connections);
  web.limits.body_bytes = static_cast<std::size_t>(options.max_body);
  web.limits.header = std::chrono::seconds(options.head_within);
  web.limits.body = std::chrono::seconds(options.body_within);
  refuse_unless(is_this_machine(web.host) || !web.token.empty(),
                "--host '" + web.host + "' lets other machines ask, and no token keeps strangers out",
                "name a file with a token: --token-file FILE; for this machine alone leave --host out");
  return web;
}

class ModelService : public Service {
 public:
  ModelService(LoadedVersion version, const ServeOptions& options, at::Device device,
               const std::filesystem::path& workspace)
      : options_(options),
        report_(workspace, version.record.hash),
        server_(web_options(options)),
        model_(version, version.record.model),
        scheduler_(views_of_version(version, options, device), model_.tokenizer().vocab_size(),
                   {options.max_memory, static_cast<std::size_t>(options.max_running),
                    static_cast<std::size_t>(options.max_waiting)}) {
    defaults_.context = options.context > 0 ? options.context : model_.context();
    defaults_.seed = options.seed;
    add_endpoints(server_, model_, scheduler_, defaults_, report_);
    port_ = server_.open();
  }

  std::string address() const override {
    const bool six = options_.host.find(':') != std::string::npos && options_.host.front() != '[';
    return "http://" + (six ? "[" + options_.host + "]" : options_.host) + ":" + std::to_string(port_);
  }

  std::vector<std::string> models() const override {
    std::vector<std::string> names;
    for (const auto& [name, hypothesis] : model_.names()) names.push_back(name);
    return names;
  }

  /// The model runs in this thread, for which --threads was set.
  void run() override {
    std::thread web([&] { server_.serve(); });
    std::thread watch([&] {
      while (!interrupted()) std::this_thread::sleep_for(kLookForSignal);
      server_.stop_taking();
      scheduler_.close(Clock::now() + std::chrono::seconds(options_.stop_within));
    });
    scheduler_.run();
    watch.join();
    // What was written last is still on its way to those who asked.
    const auto limit = Clock::now() + kLastWords;
    while (server_.busy() > 0 && Clock::now() < limit) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    server_.close();
    web.join();
  }

 private:
  static std::vector<DecodingView> views_of_version(LoadedVersion& version, const ServeOptions& options,
                                                    at::Device device) {
    const at::ScalarType dtype = inference_dtype(version.model, options.dtype);
    return decoding_views(std::exchange(version.model, Model()), dtype, device);
  }

  ServeOptions options_;
  LiveReport report_;
  WebServer server_;
  ServedModel model_;
  Scheduler scheduler_;
  ServeDefaults defaults_;
  int port_ = 0;
};

}  // namespace

void ServeOptions::validate() const {
  refuse_unless(port <= 65535, "--port must be at most 65535", "0 takes one that is free");
  // httplib can't look at more files than that at once.
  refuse_unless(max_connections <= 900, "--max-connections must be at most 900", "the default, 256, serves most");
  refuse_unless(max_body <= std::int64_t{1} << 30, "--max-body must be at most 1073741824 bytes",
                "the default is 4 MiB");
  for (const auto& [name, seconds] : {std::pair("--head-within", head_within), std::pair("--body-within", body_within),
                                      std::pair("--stop-within", stop_within)}) {
    refuse_unless(seconds <= kDay, std::string(name) + " must be at most " + std::to_string(kDay) + " seconds",
                  "that is a day");
  }
  refuse_unless(dtype.empty() || dtype == "float32" || dtype == "bfloat16" || dtype == "int8" || dtype == "int4",
                "--dtype must be float32, bfloat16, int8 or int4", "without it the model computes as it is stored");
}

std::unique_ptr<Service> make_service(LoadedVersion version, const ServeOptions& options, at::Device device,
                                      const std::filesystem::path& workspace) {
  refuse_unless(device.is_cpu() || (options.dtype != "int8" && options.dtype != "int4"),
                "--dtype int8 and int4 are for the CPU", "on a GPU --dtype bfloat16 is the smallest");
  return std::make_unique<ModelService>(std::move(version), options, device, workspace);
}

}  // namespace mformer::cli
