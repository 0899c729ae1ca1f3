#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/serving/serve_options.h"
#include "cli/serving/service.h"
#include "cli/terminal/report.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/device/device.h"
#include "core/training/retain_memory.h"

namespace mformer::cli {
namespace {

void run_serve(ServeOptions options, const GlobalOptions& global) {
  options.validate();
  options.seed = global.seed;
  const at::Device device = open_device(global.device);
  retain_freed_memory();
  Workspace workspace(global, "serve", OpenMode::read_only);
  LoadedVersion version = workspace.load();
  const VersionRecord record = version.record;
  say_if_longer(workspace.session(), options.context, version.model.config, ", for which it was made");
  const std::unique_ptr<Service> service =
      make_service(std::move(version), options, device, workspace.registry().workspace());
  terminal::Report report("serve", global.json);
  report.data() = {{"model", to_string(record)},
                   {"hash", record.hash},
                   {"model_version", version_json(record)},
                   {"address", service->address()},
                   {"models", service->models()}};
  report.text() << "serving " << to_string(record) << " at " << service->address() << " (Ctrl-C stops)\n";
  report.print();
  service->run();
}

}  // namespace

void setup_serve(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = add_command(
      parent, {"serve", groups::inspect, "Answer over HTTP, as OpenAI's API does", "mformer serve --port 8080"});
  command->add_option("--host", options->host, "Address to listen on; any but this machine's own needs a token")
      ->type_name("ADDRESS");
  command->add_option("--port", options->port, "Port, 0 = one that is free")->check(non_negative_integer());
  command
      ->add_option("--token-file", options->token_file,
                   "File of the token that every request must bring; default: MFORMER_TOKEN, or none")
      ->type_name("FILE");
  command
      ->add_option("--context", options->context, "Tokens of a prompt and its answer at most; default: the model's own")
      ->check(positive_integer());
  command->add_option("--max-memory", options->max_memory, "Bytes for the keys and values of all texts that run")
      ->check(positive_integer());
  command->add_option("--max-running", options->max_running, "Texts that run at once")->check(positive_integer());
  command->add_option("--max-waiting", options->max_waiting, "Texts that wait behind them; others are refused (429)")
      ->check(non_negative_integer());
  command->add_option("--max-connections", options->max_connections, "Connections at once; others are refused (503)")
      ->check(positive_integer());
  command->add_option("--max-body", options->max_body, "Bytes of a request's body")->check(positive_integer());
  command->add_option("--head-within", options->head_within, "Seconds that a request's head may take")
      ->check(positive_integer());
  command->add_option("--body-within", options->body_within, "Seconds that a request's body may take")
      ->check(positive_integer());
  command->add_option("--stop-within", options->stop_within, "Seconds that running texts have when the server stops")
      ->check(non_negative_integer());
  command
      ->add_option("--dtype", options->dtype,
                   "Compute in float32, bfloat16, int8 or int4 (8 or 4 bits a weight, less exact and faster); "
                   "default: as the model is stored")
      ->type_name("float32|bfloat16|int8|int4");
  computes(*command, [options, &global] { run_serve(*options, global); });
}

}  // namespace mformer::cli
