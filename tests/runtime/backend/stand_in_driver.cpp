// NVIDIA's driver, as far as the program looks: it is there.
extern "C" int cuInit(unsigned);
extern "C" int cuInit(unsigned) { return 0; }
