// What is asked for and nothing more: a new Communication Services resource, everything else as it comes.
using '../../../infra/main.bicep'

param environmentName = 'minimal'
param callbackNumbers = '+14255550101;+14255550102'
param fallbackCallbackNumber = '+14255550100'
