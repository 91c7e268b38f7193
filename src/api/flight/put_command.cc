#include "api/flight/put_command.h"

#include <string>

#include "api/json_tree.h"
#include "api/write_body.h"

namespace fletching::flight {

Result<WriteRequest> ParsePutCommand(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const api::JsonNode root, api::ParseJson(text));
  const api::JsonNode* table = root.Find("table");
  if (table == nullptr || !table->Is(api::JsonNode::Kind::kString)) {
    return InvalidArgument(
        "the command must be an object with the member 'table', the table's name");
  }
  WriteRequest write = api::WriteTo(table->text);
  for (size_t i = 0; i < root.names.size(); ++i) {
    const std::string& name = root.names[i];
    if (name == "table") continue;
    // No option is an empty text, so that any other kind of value is refused.
    const bool text_given = root.items[i].Is(api::JsonNode::Kind::kString);
    ARROW_ASSIGN_OR_RAISE(
        const bool taken,
        api::TakeWriteOption(name, text_given ? root.items[i].text : std::string(), &write));
    if (!taken) {
      return InvalidArgument("member '" + name.substr(0, 64) + "' of the command is not known");
    }
  }
  return write;
}

}  // namespace fletching::flight
