// Reads every byte of a table's folder and checks it. Needs no open table.
#pragma once

#include <string>

#include "fletching/request.h"

#include "io/file.h"

namespace fletching::table {

// Adds to the counts and lists of `report`; damage is a line there, not an error.
Status VerifyTable(io::FileSystem* file_system, const std::string& folder, VerifyReport* report);

// The name of the table whose folder this is, or the folder's own name when no manifest tells.
std::string NameInManifest(io::FileSystem* file_system, const std::string& folder);

}  // namespace fletching::table
