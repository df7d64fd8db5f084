// The state in Cosmos DB for Table, nothing of it reached from outside; notices through Microsoft Graph.
using '../../../infra/main.bicep'

param environmentName = 'network'
param callbackNumbers = '+14255550101;+14255550102'
param fallbackCallbackNumber = '+14255550100'
param emailBackend = 'graph'
param emailSender = 'emergency@example.com'
param presenceBackend = 'graph'
param useCosmos = true
param virtualNetwork = true
param authClientId = '00000000-0000-0000-0000-00000000000a'
