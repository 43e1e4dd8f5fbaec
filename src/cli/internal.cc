// ferry internal ...: hidden; what the project's own tools ask the program.
#include <ostream>

#include "cli/commands.h"
#include "ferry/export.h"

namespace ferry::cli {

void add_internal(CLI::App& parent, Context& context) {
  CLI::App* group = context.group(parent, "internal", "For ferry's own tools");
  group->group("");  // Not shown.
  context.command(*group, "supported-models", "The text of docs/supported-models.md", [&context] {
    context.out()
        << "# Supported models\n\nMade by `ferry internal supported-models`; a test holds it to the "
           "program. Sentence-transformers\nfolders over these bodies export, too.\n\n"
        << supported_models_table() << '\n';
  });
}

}  // namespace ferry::cli
