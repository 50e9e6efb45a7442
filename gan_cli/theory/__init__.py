"""The 2014 paper's theorems, measured on densities that are known in closed form."""
