#include "app.h"

int main(int argc, char** argv) {
  kvplace::cli::App app;
  kvplace::cli::add_import(app);
  kvplace::cli::add_merge(app);
  kvplace::cli::add_record(app);
  kvplace::cli::add_generate(app);
  kvplace::cli::add_info(app);
  kvplace::cli::add_export(app);
  kvplace::cli::add_compare(app);
  kvplace::cli::add_report(app);
  kvplace::cli::add_bound(app);
  kvplace::cli::add_advise(app);
  kvplace::cli::add_size(app);
  kvplace::cli::add_budgets(app);
  kvplace::cli::add_calibrate(app);
  kvplace::cli::add_run(app);
  kvplace::cli::add_sweep(app);
  kvplace::cli::add_replay(app);
  kvplace::cli::add_verify(app);
  kvplace::cli::add_list(app);
  kvplace::cli::add_model(app);
  kvplace::cli::add_show_config(app);
  kvplace::cli::add_demo(app);
  kvplace::cli::add_help(app);
  kvplace::cli::add_completion(app);
  return app.main(argc, argv);
}
