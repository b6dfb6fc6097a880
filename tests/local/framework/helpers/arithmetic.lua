local arithmetic = {}

function arithmetic.double(n) return 2 * n end

function arithmetic.fail() error("no arithmetic for this") end

return arithmetic
