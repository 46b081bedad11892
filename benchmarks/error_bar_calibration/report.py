def write(out,found):
    import numpy as np
    for c,f in found.items():
        T=f['truth']; v=f['value']
        cov=lambda x,se,t: round(float(np.mean(abs(x-t)<1.96*se)),3)
        print(c.family,c.difference,c.d,c.n//c.d,'truth %.4f'%T[0],'raw@n',cov(v,f['se'],v.mean()),'raw@true',cov(v,f['se'],T),'bc',cov(f['bias_corrected'],f['bias_corrected_se'],T),'se/sd %.2f bc %.2f'%((f['se']**2).mean()**.5/v.std(),(f['bias_corrected_se']**2).mean()**.5/f['bias_corrected'].std()), *(['pair@n',cov(f['difference'],f['difference_se'],f['difference'].mean()),'pair@true',cov(f['difference'],f['difference_se'],f['true_difference']),'se/sd %.2f'%((f['difference_se']**2).mean()**.5/f['difference'].std())] if 'difference' in f else []), 'bias/sd', {k:round(float(np.nanmean(f[k]-T)/v.std()),2) for k in ('value','one_term','jackknife','line','bias_corrected')})
