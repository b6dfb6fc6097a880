-- Programs of this host in a guest: pushed to /opt/bin, their libraries and loader to where they look for them.
-- Returned is what this host lacks of them; nil when all are there.
local LOADER = "/lib64/ld-linux-x86-64.so.2"
local PROGRAMS = { "/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/" }
local LIBRARIES = { "/lib/x86_64-linux-gnu/", "/usr/lib/x86_64-linux-gnu/", "/lib64/", "/usr/lib64/", "/usr/lib/" }

local function host_file(directories, name)
  for _, directory in ipairs(directories) do
    local file = io.open(directory .. name)
    if file then
      file:close()
      return directory .. name
    end
  end
end

-- What a program still needs in the guest; with each library come the names of what that needs.
local function missing_library(vm, program)
  local listed = vm:run(LOADER .. " --list /opt/bin/" .. program .. " 2>&1").stdout
  return listed:match("([%w._+-]+) => not found") or listed:match("([%w._+-]+): cannot open shared object file")
end

local function push(vm, program, path)
  vm:push_file(path, "/opt/bin/" .. program, { perm = "0755" })
  local before
  for library in function() return missing_library(vm, program) end do
    local found = host_file(LIBRARIES, library)
    if not found or library == before then error(program .. " needs " .. library) end
    vm:push_file(found, "/lib/" .. library, { perm = "0755" })
    before = library
  end
end

return function(vm, programs)
  local paths = {}
  local machine = vm:run("uname -m").stdout:trim()
  if machine ~= "x86_64" then return "programs for " .. machine end
  if not host_file({ "" }, LOADER) then return LOADER end
  for _, program in ipairs(programs) do
    paths[program] = host_file(PROGRAMS, program)
    if not paths[program] then return program end
  end
  vm:run("mkdir -p /lib64 /opt/bin"):assert_ok()
  vm:push_file(LOADER, LOADER, { perm = "0755" })
  for program, path in pairs(paths) do push(vm, program, path) end
end
