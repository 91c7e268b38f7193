# The licences of the libraries that end up inside the wheel, whose authors ask that the text goes
# with the binary; as Debian ships them. Boost's licence and Arrow's (a package of its own) do not.
foreach(package libcli11-dev libfmt-dev libpugixml-dev libspdlog-dev liburing-dev libxxhash-dev libyaml-cpp-dev
        prometheus-cpp-dev)
  set(notice "/usr/share/doc/${package}/copyright")
  if(EXISTS "${notice}")
    install(FILES "${notice}" DESTINATION "${SKBUILD_METADATA_DIR}/licenses" RENAME "${package}.txt")
  else()
    message(WARNING "${notice} is missing: the wheel goes without the licence of ${package}")
  endif()
endforeach()
install(FILES "${nanobind_ROOT}/../../nanobind-${nanobind_VERSION}.dist-info/licenses/LICENSE"
        DESTINATION "${SKBUILD_METADATA_DIR}/licenses" RENAME nanobind.txt OPTIONAL)
